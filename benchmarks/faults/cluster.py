"""A Ray cluster of several nodes on this machine whose parts can be killed."""

import random
import time
from typing import Any, Self

from ray._private import ray_constants
from ray.cluster_utils import Cluster

from benchmarks.faults.processes import ACTOR, family, kill, name


class Nodes:
    """A head without room for workers, and ``count`` nodes with room for one each."""

    def __init__(self, count: int = 2, seed: int = 0) -> None:
        self._count, self._random = count, random.Random(seed)

    def __enter__(self) -> Self:
        head = {"num_cpus": 0, "include_dashboard": False, "dashboard_agent_listen_port": None}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(self._count):
            self.add_node()
        self._cluster.wait_for_nodes()
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add_node(self) -> None:
        self._cluster.add_node(num_cpus=1)

    def actors(self) -> dict[int, Any]:
        """Process ids of all workers, each with its node."""
        found = {}
        for node in self._cluster.worker_nodes:
            for process in node.all_processes.get(ray_constants.PROCESS_TYPE_RAYLET, ()):
                found |= {pid: node for pid in family(process.process.pid) if name(pid).startswith(ACTOR)}
        return found

    def kill_actor(self) -> int:
        """One worker; returns how many were killed."""
        there = [*self.actors()]
        return kill(self._random.choice(there)) if there else 0

    def lose_node(self) -> int:
        """SIGKILL of a raylet with all that runs on its node, and the node's return a little later."""
        busy = [*self.actors().values()]
        if not busy:
            return 0
        self._cluster.remove_node(self._random.choice(busy), allow_graceful=False)
        time.sleep(self._random.uniform(0, 2))
        self.add_node()
        return 1

    def kill_gcs(self) -> None:
        """The head's control store."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def restart_gcs(self) -> None:
        self._cluster.head_node.start_gcs_server()
