"""Real sequences that can be trained on: each frame has a label map, an image, perhaps an instance map."""

from dataclasses import dataclass

from flowreel.pipeline.sources.keypoints.crop import Crop
from flowreel.schemas.sequence import SourceFile


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture in a data file of a published dataset."""

    path: str
    row_group: int
    row: int
    column: str
    file_digest: str  # SHA-256 of the data file

    @property
    def digest(self) -> str:
        return f"{self.file_digest}:{self.row_group}:{self.row}:{self.column}"


Medium = SourceFile | Cell  # where bytes lie; ``digest`` changes when they do


@dataclass(frozen=True, slots=True)
class TrainingFrame:
    """One moment of a sequence."""

    name: str
    label: Medium
    image: Medium
    instance: Medium | None = None  # a cell may turn out to be empty
    guide: Medium | None = None  # of poses and faces, what stands beside the label
    cut: Crop | None = None  # of poses and faces, what is kept of the picture


@dataclass(frozen=True, slots=True)
class TrainingSequence:
    """Consecutive frames of one scene, in order."""

    name: str  # unique
    scene: str  # what `data.hold_out` names: of a dataset, clips of one sequence are one scene
    size: tuple[int, int]  # width, height of its label maps
    frames: tuple[TrainingFrame, ...]
