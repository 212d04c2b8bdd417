"""A Ray cluster of several nodes on this machine whose parts can be killed."""

import random
import time
from typing import Any, Self

from ray._private import ray_constants
from ray.cluster_utils import Cluster

from benchmarks.common import family
from tests.fault.harness.processes import ACTOR, kill, name

START_TRIES = 5


class Nodes:
    """A head without room for workers and ``count`` nodes with room for one each; with 0, a head with room for two."""

    def __init__(self, count: int = 0) -> None:
        self._count, self._random = count, random.Random(0)

    def __enter__(self) -> Self:
        for tries_left in reversed(range(START_TRIES)):
            self._cluster = Cluster()
            try:
                self._cluster.add_node(num_cpus=0 if self._count else 2, include_dashboard=False, dashboard_port=0)
                for _ in range(self._count):
                    self.add_node()
                self._cluster.wait_for_nodes()
                return self
            except Exception:  # a bare one: on a busy machine its processes take longer than Ray waits for them
                self._cluster.shutdown()
                if not tries_left:
                    raise
        raise AssertionError("START_TRIES is at least 1")

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add_node(self) -> None:
        self._cluster.add_node(num_cpus=1)

    def actors(self) -> dict[int, Any]:
        """Process ids of all workers, each with its node."""
        found: dict[int, Any] = {}
        for node in self._cluster.list_all_nodes():
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
        head: Any = self._cluster.head_node
        head.kill_gcs_server(check_alive=False)
