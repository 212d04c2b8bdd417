"""Whether the nodes of a cluster have room for workers, and what to say where they have none."""

import time
from collections import Counter
from collections.abc import Mapping

import ray

from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.spec import ExecutionSpec
from flowreel.schemas.training import TrainExecutionSpec
from flowreel.schemas.wording import counted, duration

Execution = ExecutionSpec | TrainExecutionSpec
NODES_SHOWN = 10  # kinds of nodes
NEXT = "run the same command to resume"


def needs(execution: Execution) -> dict[str, float]:
    """Gives the resources that Ray reserves for one worker."""
    return {"CPU": float(execution.num_cpus)} | ({"GPU": execution.num_gpus} if execution.num_gpus else {})


def alive_nodes() -> list[dict[str, float]]:
    """Gives the resources of every node that is up, free or not."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def room(execution: Execution, nodes: list[dict[str, float]]) -> int:
    """Counts the workers for which these nodes have room if nothing else runs on them."""
    wanted = needs(execution)
    return sum(int(min(node.get(kind, 0) / amount + 1e-9 for kind, amount in wanted.items())) for node in nodes)


def waiting_for(execution: Execution, workers: int = 1) -> str | None:
    """Gives a message if the nodes of the cluster have no room for ``workers`` workers, None otherwise."""
    found = room(execution, alive_nodes())
    if found >= workers:
        return None
    some = f"there is room for {found:,} of {counted(workers, 'worker')}" if found else "no node in the cluster has it"
    return (
        f"waiting for nodes: a worker needs {_words(needs(execution))}, and {some}; an autoscaler"
        f" may add one in the next {duration(execution.placement_timeout_s)} (execution.placement_timeout_s); otherwise"
        " lower execution.num_gpus or execution.num_cpus"
    )


def check_possible(execution: Execution, workers: int = 1) -> None:
    """Raises FlowreelError if ``workers`` can never be placed on this machine, which no autoscaler makes larger."""
    if (found := room(execution, alive_nodes())) < workers:
        fit = f"only {found:,} of {counted(workers, 'worker')} can be placed" if found else "no worker can be placed"
        raise FlowreelError(f"{fit} on this machine: {_asked_and_there(execution)}")


class PlacementWatch:
    """How long no worker has had a place."""

    def __init__(self, execution: Execution, workers: int = 1) -> None:
        """Starts to count. ``workers``: how many are needed at once; they are asked for as they are."""
        self._execution, self._workers, self._since_s = execution, workers, time.monotonic()

    def check(self, placed: bool) -> None:
        """Notes whether there is a worker with a place right now. Raises FlowreelError once there has been none for
        longer than execution.placement_timeout_s."""
        if placed:
            self._since_s = time.monotonic()
        limit_s = self._execution.placement_timeout_s
        if time.monotonic() - self._since_s > limit_s:
            what = "no worker" if self._workers == 1 else f"not all of {counted(self._workers, 'worker')}"
            raise FlowreelError(
                f"{what} could be placed for {duration(limit_s)} (execution.placement_timeout_s):"
                f" {_asked_and_there(self._execution)}"
            )


def _asked_and_there(execution: Execution) -> str:
    """Words what a worker needs and what each node has."""
    nodes = alive_nodes()
    kinds = Counter(_words({kind: node.get(kind, 0) for kind in ("CPU", "GPU")}) for node in nodes)
    there = [f"{counted(count, 'node')} with {words}" for words, count in kinds.most_common(NODES_SHOWN)]
    if len(kinds) > NODES_SHOWN:
        there.append(f"{len(kinds) - NODES_SHOWN:,} more kinds of nodes")
    taken = "; some of it is in use by others" if room(execution, nodes) else ""
    return (
        f"each needs {_words(needs(execution))}, and there is: {', '.join(there) or 'no node'}{taken}. Lower"
        f" execution.num_cpus or execution.num_gpus, or add nodes that are large enough; then {NEXT}"
    )


def _words(resources: Mapping[str, float]) -> str:
    parts = [f"{amount:g} {kind}{'' if amount == 1 or 0 < amount < 1 else 's'}" for kind, amount in resources.items()]
    return " and ".join(part for part, amount in zip(parts, resources.values(), strict=True) if amount) or "no CPU"


def worker_count(execution: ExecutionSpec, shards: int, *, growing: bool) -> int:
    """Gives the number of workers to start for ``shards`` shards. ``growing``: the cluster may get more nodes, so that
    workers wait for which there is no room yet: its autoscaler goes by them."""
    least, most = execution.workers
    count = max(least, min(most, shards))
    return count if growing else max(1, min(count, room(execution, alive_nodes())))
