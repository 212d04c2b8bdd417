"""An actor as the driver sees it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ray

from flowreel.jobs.engine.attempts import Attempt
from flowreel.pipeline.render.job import Lanes


@dataclass(eq=False)
class Worker:
    """Describes an actor as the driver sees it."""

    handle: Any
    placed: bool = False  # its process runs somewhere
    name: str = ""  # empty until its generator is loaded
    most: int = Lanes().in_flight  # shards that it is given at once
    node: str = ""  # Ray's id of the machine that it is on
    attempts: dict[Any, Attempt] = field(default_factory=dict)  # by the running call
    frames: int = 0
    moved_s: float = 0.0  # monotonic time of its last frame, shard or hand-out
    deaths: int = 0
    starts: int = 1  # of actors in its place, and of processes that died before they were ready
    hung: str = ""  # why it was killed

    @property
    def room(self) -> bool:
        """Tells whether it can take another shard."""
        if not self.name or any(a.suspect for a in self.attempts.values()):
            return False
        return len(self.attempts) < self.most


def kill_the_hung(workers: Iterable[Worker], stall_s: float) -> None:
    """Ends workers without a frame or a shard for ``stall_s`` seconds; their shards are tried again, then alone."""
    for worker in workers:
        if worker.name and worker.attempts and time.monotonic() - worker.moved_s > stall_s:
            worker.moved_s = time.monotonic()
            worker.hung = f"hung: no frame and no shard for {stall_s:g} s (failure.stall_s)"
            ray.kill(worker.handle, no_restart=False)
