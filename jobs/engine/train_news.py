"""What training workers tell the command that started them, through a small actor of its own."""

from typing import Any

import ray

from flowreel.pipeline.training.log import Record
from flowreel.pipeline.training.outlook import Outlook
from flowreel.schemas.errors import FlowreelError


class TrainNews:
    """Holds the newest news; ``read`` empties it."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._starts: list[Outlook] = []
        self._error: FlowreelError | None = None

    def started(self, outlook: Outlook) -> None:
        """Notes that the leading worker begins, or begins again, with this outlook."""
        self._starts.append(outlook)

    def post(self, record: Record) -> None:
        self._records.append(record)

    def fail(self, error: FlowreelError) -> None:
        """Training again would not help."""
        self._error = error

    def read(self) -> tuple[list[Outlook], list[Record], FlowreelError | None]:
        news = self._starts, self._records, self._error
        self._starts, self._records = [], []
        return news


def open_train_news() -> Any:
    """The actor's handle. It lives where the driver is, so that it is not lost with a worker's node."""
    remote: Any = ray.remote
    here = ray.get_runtime_context().get_node_id()
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=True)
    return remote(num_cpus=0, scheduling_strategy=strategy)(TrainNews).remote()
