"""An actor through which training workers report to the command that started them."""

from typing import Any, NamedTuple

import ray

from flowreel.pipeline.training.log import Record
from flowreel.pipeline.training.outlook import Outlook
from flowreel.schemas.errors import FlowreelError


class Unread(NamedTuple):
    """What workers have reported since it was last read."""

    placed: bool  # they have had a place at some time
    starts: list[Outlook]
    records: list[Record]
    error: FlowreelError | None


class TrainNews:
    """Keeps reports of workers until they are read."""

    def __init__(self) -> None:
        self._placed = False
        self._records: list[Record] = []
        self._starts: list[Outlook] = []
        self._error: FlowreelError | None = None

    def placed(self) -> None:
        """Notes that the workers run, though they may still be loading."""
        self._placed = True

    def started(self, outlook: Outlook) -> None:
        """Notes that the leading worker begins, or begins again, with this outlook."""
        self._starts.append(outlook)

    def post(self, record: Record) -> None:
        """Keeps a record of the log."""
        self._records.append(record)

    def fail(self, error: FlowreelError) -> None:
        """Notes an error that training again would not help."""
        self._error = error

    def read(self) -> Unread:
        """Gives the starts and records since the last call, and the error if there is one."""
        unread = Unread(self._placed, self._starts, self._records, self._error)
        self._starts, self._records = [], []
        return unread


def open_train_news() -> Any:
    """Starts the actor and gives its handle. It runs on the driver's node, so that it outlives those of workers."""
    remote: Any = ray.remote
    here = ray.get_runtime_context().get_node_id()
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=True)
    return remote(num_cpus=0, scheduling_strategy=strategy)(TrainNews).remote()
