"""What a worker needs besides its shards: made once by the driver, sent to every actor."""

from collections.abc import Callable
from dataclasses import dataclass

from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.storage import Store
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec

Tick = Callable[[int], None]  # told of n more frames rendered
BESIDE = 2  # shards of a worker that are not on its device: one fetching, one encoding and writing
MANY = 16  # shards, of which the last one, alone on the threads of its lane, costs less than what lanes gain


@dataclass(frozen=True)
class Lanes:
    """Shards that a worker generates at once, and the threads that each calculates with."""

    count: int = 1
    threads: int = 1

    @property
    def in_flight(self) -> int:
        """Shards that a worker is given at once."""
        return self.count + BESIDE


@dataclass(frozen=True)
class RenderJob:
    """Spec and everything it names, opened and checked."""

    spec: Spec
    space: LabelSpace
    settings: RenderSettings
    checkpoint: Checkpoint
    source: Store | None  # None: procedural scenes lie nowhere
    dataset: Store
    lanes: Lanes = Lanes()

    @property
    def needs_instances(self) -> bool:
        """Whether instance maps are read at all: for the edge channel, for edits, or to be published."""
        return self.spec.source.has_instances and (
            self.checkpoint.config.use_instance or self.spec.decided_by_instances
        )


def lanes_for(device: str, cpus: int, shards: int) -> Lanes:
    """Of a worker, in a plan of so many shards. On CPUs two, with the same weights.

    Threads of one lane wait for each other at every step. So lanes have threads of their own where there are shards
    enough to keep both busy; where there are few, both have all, and one takes what the other leaves idle. How many
    threads there are decides how sums are rounded: the plan says it, never how busy a worker happens to be.
    """
    if device != "cpu" or cpus == 1:
        return Lanes(1, cpus)
    return Lanes(2, (cpus + 1) // 2 if shards >= MANY else cpus)
