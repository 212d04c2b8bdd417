"""Sequences as the catalog finds them: files with fingerprints, frames in order."""

from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.schemas.template import paths_of

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
    frames: Items[Frame]


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
    guides: str | None = None  # template of the guides of poses and faces: see `SourceSpec.guides`
    guide_N32: NDArray[np.uint8] | None = None  # SHA-256 of the guide
    # large_string, per frame: paths that do not follow from template, id and name; None where all do
    label_paths: pa.Array | None = None
    instance_paths: pa.Array | None = None
    guide_paths: pa.Array | None = None
    recordings: pa.Array | None = None  # string, per sequence: what it was cut out of; None where that is itself

    @property
    def frame_count(self) -> int:
        """Counts the frames of all sequences."""
        return len(self.names)

    @property
    def length_S(self) -> NDArray[np.int64]:
        """Gives the frames per sequence."""
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

    def frames(self, s: int, start: int, stop: int) -> "Frames":
        """Gives frames [start, stop) of sequence s."""
        first = int(self.first_S1[s])
        return Frames(self, s, range(first + start, first + stop))

    def select_spans(
        self, sequence_P: NDArray[np.integer], first_P: NDArray[np.integer], length_P: NDArray[np.integer]
    ) -> "Sequences":
        """Gives only the frames [first, first + length) of some sequences, each span as a sequence of its own."""
        edge_P1 = np.concatenate([[0], np.cumsum(length_P)])
        row_N = np.repeat(self.first_S1[sequence_P] + first_P - edge_P1[:-1], length_P) + np.arange(edge_P1[-1])
        label_N32, instance_N32, guide_N32 = (
            None if n is None else n[row_N] for n in (self.label_N32, self.instance_N32, self.guide_N32)
        )
        assert label_N32 is not None
        names, *paths = (None if n is None else n.take(pa.array(row_N)) for n in (self.names, *self._paths))
        return Sequences(
            self.labels, self.instances, self.ids.take(pa.array(sequence_P)), self.size_S2[sequence_P], edge_P1,
            names, label_N32, instance_N32, self.guides, guide_N32, *paths,
        )  # fmt: skip

    @property
    def _paths(self) -> tuple[pa.Array | None, ...]:
        return self.label_paths, self.instance_paths, self.guide_paths

    def __reduce__(self) -> tuple[Any, ...]:
        """Sends itself as bytes: see `flowreel.schemas.shards.VariantSettings.fields`."""
        numbers = (self.size_S2, self.first_S1, self.label_N32, self.instance_N32, self.guide_N32)
        texts = [_buffers(text) for text in (self.names, *self._paths)]
        columns = [n if n is None else n.tobytes() for n in numbers]
        return _sequences, ((self.labels, self.instances, self.guides), self.ids.to_pylist(), texts, columns)


def _buffers(texts: pa.Array | None) -> list[bytes] | None:
    """Gives the buffers of a large_string array as bytes, without what they hold besides it."""
    if texts is None:
        return None
    return [buffer and buffer.to_pybytes() for buffer in pa.concat_arrays([texts]).buffers()[1:]]


def _sequences(
    templates: tuple[str, str | None, str | None], ids: list[str], texts: list[list[bytes] | None], columns: list[bytes]
) -> Sequences:
    labels, instances, guides = templates
    size, first, *digests = columns
    first_S1 = np.frombuffer(first, np.int64)
    label_N32, instance_N32, guide_N32 = (
        None if d is None else np.frombuffer(d, np.uint8).reshape(-1, DIGEST_BYTES) for d in digests
    )
    assert label_N32 is not None
    names, *paths = (_texts(each, len(label_N32)) for each in texts)
    return Sequences(
        labels, instances, pa.array(ids, pa.string()), np.frombuffer(size, np.int32).reshape(-1, 2), first_S1,
        names, label_N32, instance_N32, guides, guide_N32, *paths,
    )  # fmt: skip


def _texts(buffers: list[bytes] | None, count: int) -> pa.Array | None:
    """Gives the large_string array of `_buffers`."""
    if buffers is None:
        return None
    return pa.Array.from_buffers(pa.large_string(), count, [None, *(pa.py_buffer(part or b"") for part in buffers)])


class Frames(Items[Frame]):
    """Some frames of one sequence. `Frame` objects are made when they are used, which a driver that hands out
    millions never does."""

    __slots__ = ("_of", "_rows", "_s")

    def __init__(self, of: Sequences, s: int, rows: range) -> None:
        """Selects ``rows`` of ``of``, in any direction."""
        self._of, self._s, self._rows = of, s, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> "Frames": ...
    def __getitem__(self, index: "int | slice") -> "Frame | Frames":
        if isinstance(index, slice):
            return Frames(self._of, self._s, self._rows[index])
        row = self._rows[index]
        return next(iter(Frames(self._of, self._s, range(row, row + 1))))

    def __iter__(self) -> Iterator[Frame]:
        of, low = self._of, self._low
        count = max(self._rows, default=low - 1) - low + 1
        names = of.names.slice(low, count).to_pylist()
        columns = (
            (of.labels, of.label_N32, of.label_paths),
            (of.instances, of.instance_N32, of.instance_paths),
            (of.guides, of.guide_N32, of.guide_paths),
        )
        files = [None if t is None or n is None else (self._paths(t, given, names), n) for t, n, given in columns]
        for row in self._rows:
            label, instance, guide = (
                each and SourceFile(each[0][row - low], each[1][row].tobytes().hex()) for each in files
            )
            assert label is not None
            if instance is not None and of.instance_N32 is not None and not of.instance_N32[row].any():
                instance = None
            yield Frame(names[row - low], label, instance, guide)

    def _paths(self, template: str, given: pa.Array | None, names: list[str]) -> list[str]:
        """Gives the paths of the files of one kind from the lowest frame on."""
        if given is not None:
            return list(given.slice(self._low, len(names)).to_pylist())
        return [*map(paths_of(template, self.sequence_id), names)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Items) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        low, rows = self._low, self._rows
        first, length = low - self._of.first_S1[self._s], max(rows, default=low - 1) - low + 1
        span = self._of.select_spans(np.array([self._s]), np.array([first]), np.array([length]))
        return Frames, (span, 0, range(rows.start - low, rows.stop - low, rows.step))

    @property
    def sequence_id(self) -> str:
        """Gives the id of their sequence."""
        return str(self._of.ids[self._s].as_py())

    @property
    def _low(self) -> int:
        """Gives the lowest row."""
        return min(self._rows, default=0)
