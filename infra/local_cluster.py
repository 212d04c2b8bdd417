"""A Ray cluster of several nodes on this machine, to try jobs on: a head with the dashboard, and nodes that render.

    python infra/local_cluster.py --nodes 2 --cpus 1

prints one line of JSON: `address` (for RAY_ADDRESS), `dashboard` (for `flowreel submit --address`), and of each node
its id and the place of its metrics. Then it takes commands, one a line: `add` starts a node more, `kill` ends the
newest one as a power cut would, `quit` or end of input stops everything. Each is answered by such a line.
"""

import argparse
import json
import logging
import os
import sys
from typing import Any

import ray
from ray.cluster_utils import Cluster


def places(cluster: Cluster) -> dict[str, Any]:
    """Where the cluster and the metrics of its nodes are found."""
    nodes = [
        {"id": node["NodeID"], "metrics": f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"}
        for node in ray.nodes()
        if node["Alive"]
    ]
    return {"address": cluster.address, "dashboard": f"http://{cluster.head_node.webui_url}", "nodes": nodes}


def serve(cluster: Cluster, count: int, node: dict[str, Any]) -> None:
    """Answers commands until the last one."""
    newest = [cluster.add_node(**node) for _ in range(count)]
    print(json.dumps(places(cluster)), flush=True)
    for command in map(str.strip, sys.stdin):
        if command == "quit":
            return
        if command == "add":
            newest.append(cluster.add_node(**node))
        elif command == "kill" and newest:
            cluster.remove_node(newest.pop(), allow_graceful=False)
        else:
            print(f"{command}: must be add, kill (while there are nodes) or quit", file=sys.stderr)
        print(json.dumps(places(cluster)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=2, help="that render, beside the head")
    parser.add_argument("--cpus", type=int, default=1, help="of each, as Ray counts them")
    parser.add_argument("--dashboard-port", type=int, default=8265, help="0: any that is free")
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # nodes share this machine's cores
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    head = {"num_cpus": 0, "include_dashboard": True, "dashboard_port": options.dashboard_port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        serve(cluster, options.nodes, {"num_cpus": options.cpus})
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
