"""What a run trains on: the sources of its spec with their sequences, once they are opened and checked."""

from dataclasses import dataclass
from functools import cached_property

from flowreel.pipeline.identity import digest
from flowreel.pipeline.sources.catalog import problem_report
from flowreel.pipeline.sources.encodings import PLAIN, MapDecoder
from flowreel.pipeline.storage import Store
from flowreel.pipeline.training.data.sequences import TrainingSequence
from flowreel.schemas.errors import SourceError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.spec import SourceSpec


@dataclass(frozen=True)
class TrainingSource:
    """All sequences that a spec names, and their problems. Processes may send it to each other."""

    store: Store  # what the frames' paths are relative to
    sequences: tuple[TrainingSequence, ...]
    space: LabelSpace  # of the ids after the remap
    remap: dict[int, int | str]  # source id -> id or class of the label space
    hold_out: tuple[str, ...]
    has_instances: bool  # instance maps; without them regions of things stand in, as in rendering
    problems: tuple[str, ...]  # training starts only if there are none
    points: SourceSpec | None = None  # of poses and faces: how frames are drawn
    decoder: MapDecoder = PLAIN  # of its maps

    def check(self) -> None:
        """Raises SourceError if there is any problem."""
        if self.problems:
            raise SourceError(problem_report(self.problems, "trained on", "fix these first"))

    @property
    def label_nc(self) -> int:
        """Gives the channels that one-hot labels need."""
        return max(self.space.ids) + 1

    @cached_property
    def trained(self) -> tuple[TrainingSequence, ...]:
        """Gives the sequences to train on."""
        return tuple(s for s in self.sequences if s.scene not in self.hold_out)

    @cached_property
    def held_out(self) -> tuple[TrainingSequence, ...]:
        """Gives the sequences to evaluate on."""
        return tuple(s for s in self.sequences if s.scene in self.hold_out)

    @property
    def digest(self) -> str:
        """Changes when any frame, the label space or the remap does: a resumed run then sees other data."""
        frames = [
            [s.name, [[f.label.digest, f.image.digest, f.instance and f.instance.digest] for f in s.frames]]
            for s in self.sequences
        ]
        encoding = [self.decoder.digest] if self.decoder.digest else []
        remap = {str(k): v for k, v in self.remap.items()}
        return digest([frames, self.space.digest, remap, self.hold_out, *encoding])


@dataclass(frozen=True)
class TrainingData:
    """The sources of a spec, and their problems. Processes may send it to each other."""

    sources: tuple[TrainingSource, ...]
    weights: tuple[float, ...]  # of the sources
    problems: tuple[str, ...]  # training starts only if there are none

    def check(self) -> None:
        """Raises SourceError if there is any problem."""
        if self.problems:
            raise SourceError(problem_report(self.problems, "trained on", "fix these first"))

    @property
    def space(self) -> LabelSpace:
        """Gives the label space, which all sources share."""
        return self.sources[0].space

    @cached_property
    def sequences(self) -> tuple[TrainingSequence, ...]:
        """Gives all sequences, source by source."""
        return tuple(s for source in self.sources for s in source.sequences)

    @cached_property
    def trained(self) -> tuple[TrainingSequence, ...]:
        """Gives the sequences to train on, source by source."""
        return tuple(s for source in self.sources for s in source.trained)

    @cached_property
    def held_out(self) -> tuple[TrainingSequence, ...]:
        """Gives the sequences to evaluate on."""
        return tuple(s for source in self.sources for s in source.held_out)
