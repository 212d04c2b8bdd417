"""What a worker needs besides its shards: made once by the driver, sent to every actor."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.generator.checkpoint import Checkpoint
from pipeline.storage import Store
from schemas.label_space import LabelSpace
from schemas.plan import RenderSettings
from schemas.spec import Spec

Tick = Callable[[int], None]  # told of n more frames rendered
IN_FLIGHT = 3  # shards per actor: one fetching, one or two on the device, one encoding and writing


@dataclass(frozen=True)
class RenderJob:
    """Spec and everything it names, opened and checked."""

    spec: Spec
    space: LabelSpace
    settings: RenderSettings
    checkpoint: Checkpoint
    source: Store | None  # None: procedural scenes lie nowhere
    dataset: Store

    @property
    def lanes(self) -> int:
        """Shards that a worker generates at once. On CPUs two, with the same weights: what the threads of one leave
        idle while they wait for each other, the other takes."""
        return 2 if self.settings.device == "cpu" and self.spec.execution.num_cpus > 1 else 1

    @property
    def needs_instances(self) -> bool:
        """Whether instance maps are read at all: for the edge channel, for edits, or to be published."""
        return self.spec.source.has_instances and (
            self.checkpoint.config.use_instance or self.spec.decided_by_instances
        )
