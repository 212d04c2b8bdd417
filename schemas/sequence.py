"""Sequences as the catalog finds them: files with fingerprints, frames in order."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

DIGEST_BYTES = 32  # of a SHA-256


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One source file: its path below ``source.uri`` and the SHA-256 of its bytes."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a sequence."""

    name: str  # what stands for the template's * in the label map's file name
    label: SourceFile
    instance: SourceFile | None = None
    guide: SourceFile | None = None  # of poses and faces: see `SourceSpec.guides`


@dataclass(frozen=True, slots=True)
class Sequence:
    """Consecutive frames of one scene. Frames are in natural order of their names and of one size."""

    sequence_id: str  # what {sequence} stands for in the template
    size: tuple[int, int]  # width, height of its label maps
    frames: tuple[Frame, ...]


@dataclass(frozen=True, eq=False)
class Sequences(Items[Sequence]):
    """All sequences of a source, in columns: S sequences of N frames in all. `Sequence` objects are made on demand.

    Frames are rows: those of sequence s are ``first_S1[s]`` to ``first_S1[s + 1]``.
    """

    labels: str  # template of the label maps' paths
    instances: str | None  # of the instance maps'
    ids: pa.Array  # string, in natural order
    size_S2: NDArray[np.int32]  # width, height
    first_S1: NDArray[np.int64]
    names: pa.Array  # large_string, per frame
    label_N32: NDArray[np.uint8]  # SHA-256 of the label map
    instance_N32: NDArray[np.uint8] | None  # SHA-256 of the instance map, zeros where there is none
    guides: str | None = None  # template of what stands beside the label of poses and faces
    guide_N32: NDArray[np.uint8] | None = None  # SHA-256 of that

    @property
    def frame_count(self) -> int:
        return len(self.names)

    @property
    def length_S(self) -> NDArray[np.int64]:
        """Frames per sequence."""
        return np.diff(self.first_S1)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Sequence: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sequence, ...]: ...
    def __getitem__(self, index: int | slice) -> Sequence | tuple[Sequence, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        s = range(len(self))[index]
        size = (int(self.size_S2[s, 0]), int(self.size_S2[s, 1]))
        return Sequence(self.ids[s].as_py(), size, self.frames(s, 0, int(self.length_S[s])))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Items) and len(self) == len(other) and all(map(Sequence.__eq__, self, other))

    def frames(self, s: int, start: int, stop: int) -> tuple[Frame, ...]:
        """Frames [start, stop) of sequence s."""
        sequence_id, base = self.ids[s].as_py(), int(self.first_S1[s])
        names = self.names.slice(base + start, stop - start).to_pylist()
        found = []
        for row, name in enumerate(names, start=base + start):
            label = SourceFile(_path(self.labels, sequence_id, name), self.label_N32[row].tobytes().hex())
            instance = None
            if self.instances and self.instance_N32 is not None and self.instance_N32[row].any():
                digest = self.instance_N32[row].tobytes().hex()
                instance = SourceFile(_path(self.instances, sequence_id, name), digest)
            guide = None
            if self.guides and self.guide_N32 is not None:
                guide = SourceFile(_path(self.guides, sequence_id, name), self.guide_N32[row].tobytes().hex())
            found.append(Frame(name, label, instance, guide))
        return tuple(found)


def _path(template: str, sequence_id: str, name: str) -> str:
    before, after = template.split("*")
    return f"{before.replace('{sequence}', sequence_id)}{name}{after}"
