"""Everything a worker needs besides its shards: made once by the driver, sent to every actor."""

from collections.abc import Callable
from dataclasses import dataclass

from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.sources.encodings import PLAIN, MapDecoder
from flowreel.pipeline.storage import Store
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec

Tick = Callable[[int], None]  # called with the number of frames rendered since the last call
BESIDE = 2  # shards of a worker beside its lanes: one is fetched, one encoded and written
MANY = 16  # shards; with so many, a last one alone on its lane's threads costs less than lanes gain


@dataclass(frozen=True)
class Lanes:
    """Lanes of a worker: the shards that it generates at the same time, and the compute threads of each."""

    count: int = 1
    threads: int = 1

    @property
    def in_flight(self) -> int:
        """Gives the number of shards that a worker is given at once."""
        return self.count + BESIDE


@dataclass(frozen=True)
class RenderJob:
    """A spec and everything it names, opened and checked."""

    spec: Spec
    space: LabelSpace
    settings: RenderSettings
    checkpoint: Checkpoint
    source: Store | None  # None: procedural scenes have no files
    dataset: Store
    lanes: Lanes = Lanes()
    allow_code: bool = False  # accept a segmenter that runs code of its own; no spec can say so, only its user
    decoder: MapDecoder = PLAIN  # of the source's maps

    @property
    def needs_instances(self) -> bool:
        """Tells whether instance maps are read at all: for the edge channel, for edits, or to be published."""
        return self.spec.source.has_instances and (
            self.checkpoint.config.use_instance or self.spec.decided_by_instances
        )


def lanes_for(device: str, cpus: int, shards: int) -> Lanes:
    """Chooses a worker's lanes in a plan of so many shards: two with the same weights on CPUs, one on GPUs.

    Threads of one lane wait for each other at every step. So lanes have their own threads where there are enough shards
    to keep both busy; where there are few, both use all, and one takes what the other leaves idle. The number of
    threads decides how sums are rounded, so it follows from the plan, never from how busy a worker happens to be.
    """
    if device != "cpu" or cpus == 1:
        return Lanes(1, cpus)
    return Lanes(2, (cpus + 1) // 2 if shards >= MANY else cpus)
