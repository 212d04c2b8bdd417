"""Sequences as the catalog finds them: files with fingerprints, frames in order."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One source file: its path below ``source.uri`` and the SHA-256 of its bytes."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a sequence."""

    name: str  # file name of the label map without its ending
    label: SourceFile
    instance: SourceFile | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    """Consecutive frames of one scene. Frames are in natural order of their names and of one size."""

    sequence_id: str  # what {sequence} stands for in the template
    size: tuple[int, int]  # width, height of its label maps
    frames: tuple[Frame, ...]
