"""What a worker needs besides its shards: made once by the driver, sent to every actor."""

from dataclasses import dataclass

from pipeline.generator.checkpoint import Checkpoint
from pipeline.storage import Store
from schemas.label_space import LabelSpace
from schemas.plan import RenderSettings
from schemas.spec import Spec


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
    def needs_instances(self) -> bool:
        """Whether instance maps are read at all: for the edge channel, for edits, or to be published."""
        return self.spec.source.has_instances and (
            self.checkpoint.config.use_instance or self.spec.decided_by_instances
        )
