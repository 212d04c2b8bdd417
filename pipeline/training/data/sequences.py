"""Sequences of real frames for training: each frame has a label map, an image, perhaps an instance map."""

from dataclasses import dataclass

from flowreel.pipeline.sources.keypoints.crop import Crop
from flowreel.schemas.sequence import SourceFile


@dataclass(frozen=True, slots=True)
class Cell:
    """A medium in a data file of a published dataset."""

    path: str
    row_group: int
    row: int
    column: str
    file_digest: str  # SHA-256 of the data file

    @property
    def digest(self) -> str:
        """Identifies its bytes."""
        return f"{self.file_digest}:{self.row_group}:{self.row}:{self.column}"


Medium = SourceFile | Cell  # where bytes lie; ``digest`` changes when they do


@dataclass(frozen=True, slots=True)
class TrainingFrame:
    """One frame of a sequence."""

    name: str
    label: Medium
    image: Medium
    instance: Medium | None = None  # a cell may turn out to be empty
    guide: Medium | None = None  # of poses and faces: the map or image beside the keypoints
    crop: Crop | None = None  # of poses and faces: the part of the image that is kept


@dataclass(frozen=True, slots=True)
class TrainingSequence:
    """Consecutive frames of one scene, in order."""

    name: str  # unique
    scene: str  # what `data.hold_out` names: of a dataset, clips of one sequence are one scene
    size: tuple[int, int]  # width, height of its label maps
    frames: tuple[TrainingFrame, ...]
    source: int = 0  # which of the spec's

    @property
    def still(self) -> bool:
        """Tells whether it is a single picture, over which a camera can move; keypoints' crops cannot be panned."""
        return len(self.frames) == 1 and self.frames[0].crop is None
