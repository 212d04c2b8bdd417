"""Starts a Ray cluster of several nodes on this machine to try jobs on: a head with the dashboard, and render nodes.

    python infra/local_cluster.py --nodes 2 --cpus 1

prints one line of JSON: `address` (for RAY_ADDRESS), `dashboard` (for `flowreel submit --address`), `logs`, and the id
and metrics URL of each node. Then it takes commands, one per line: `add` starts another node, `kill` ends the newest
one as a power cut would, and `quit` or the end of input stops everything. Each is answered by another such line.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster


def places(cluster: Cluster) -> dict[str, Any]:
    """Gives the addresses of the cluster, its dashboard, and its nodes' metrics and logs."""
    nodes = [
        {"id": node["NodeID"], "metrics": f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"}
        for node in cluster.global_state.node_table()  # a connected driver would print where the answers go
        if node["Alive"]
    ]
    logs = [node.get_logs_dir_path() for node in (cluster.head_node, *cluster.worker_nodes)]
    dashboard = f"http://{cluster.head_node.webui_url}"
    return {"address": cluster.address, "dashboard": dashboard, "nodes": nodes, "logs": logs}


def serve(cluster: Cluster, count: int, cpus: int, folder: str) -> None:
    """Answers commands until the last one."""

    def add() -> Any:
        # A folder of its own, as on a separate machine: a node that ends takes the code of jobs there with it.
        return cluster.add_node(num_cpus=cpus, temp_dir=tempfile.mkdtemp(dir=folder))

    newest = [add() for _ in range(count)]
    print(json.dumps(places(cluster)), flush=True)
    for command in map(str.strip, sys.stdin):
        if command == "quit":
            return
        if command == "add":
            newest.append(add())
        elif command == "kill" and newest:
            cluster.remove_node(newest.pop(), allow_graceful=False)
        else:
            print(f"{command}: must be add, kill (while there are nodes) or quit", file=sys.stderr)
        print(json.dumps(places(cluster)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=2, help="how many nodes render, besides the head")
    parser.add_argument("--cpus", type=int, default=1, help="CPUs per node, as Ray counts them")
    parser.add_argument("--dashboard-port", type=int, default=8265, help="0: any free port")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # jobs find this `python`
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # nodes share this machine's cores
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": True, "dashboard_port": options.dashboard_port}
    head["dashboard_agent_listen_port"] = None  # any port: other clusters on this machine may have the usual one
    cluster = Cluster(initialize_head=True, head_node_args=head)
    with tempfile.TemporaryDirectory(prefix="flowreel-", ignore_cleanup_errors=True) as folder:
        try:
            serve(cluster, options.nodes, options.cpus, folder)
        finally:
            cluster.shutdown()


if __name__ == "__main__":
    main()
