"""The shards of a plan, in columns: of millions of clips, only those that are used become objects."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from math import prod
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.schemas.clip import ID_BYTES, Clip, Donor, Exemplar, Shard
from flowreel.schemas.sequence import Frames, Sequences


@dataclass(frozen=True, slots=True)
class VariantSettings:
    """The settings that a variant gives to each of its clips."""

    seed: int
    exemplar: Exemplar | None
    donors: tuple[Donor, ...] = ()
    steps: tuple[int, ...] = ()  # slices of a clip's frames, one after the other: `flowreel.schemas.edit.frame_steps`

    @property
    def stride(self) -> int:
        """Gives the source frames from one frame of a clip to the next."""
        return prod(map(abs, self.steps))

    @property
    def fields(self) -> tuple[Any, ...]:
        """Gives the fields for sending: picklers ask for each object of another kind, which takes longer than all
        the rest."""
        return self.seed, self.exemplar, self.donors, self.steps


@dataclass(frozen=True, eq=False)
class Shards(Items[Shard]):
    """The shards of a plan, in columns: M shards of C clips in all. `Shard` objects are made on demand.

    Clips are rows: those of shard m are ``first_M1[m]`` to ``first_M1[m + 1]``.
    """

    id_M16: NDArray[np.uint8]
    first_M1: NDArray[np.int64]
    clip_C16: NDArray[np.uint8]  # ids
    sequence_C: NDArray[np.int32]  # index into ``sequences``
    variant_C: NDArray[np.int32]
    start_C: NDArray[np.int32]
    span_C: NDArray[np.int32]  # label frames of the sequence, before edits of time
    sequences: Sequences
    splits: pa.Array  # string (dictionary), per sequence
    variant_settings: tuple[VariantSettings, ...]  # per variant

    @property
    def clip_count(self) -> int:
        """Counts the clips."""
        return len(self.clip_C16)

    @property
    def stride_C(self) -> NDArray[np.int32]:
        """Gives the source frames from one frame of a clip to the next, per clip."""
        return np.array([each.stride for each in self.variant_settings], np.int32)[self.variant_C]

    @property
    def frames_C(self) -> NDArray[np.int32]:
        """Gives the label frames of each clip."""
        return every_nth(self.span_C, self.stride_C)

    def __len__(self) -> int:
        return len(self.id_M16)

    @overload
    def __getitem__(self, index: int) -> Shard: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Shard, ...]: ...
    def __getitem__(self, index: int | slice) -> Shard | tuple[Shard, ...]:
        if isinstance(index, slice):
            return tuple(self[m] for m in range(*index.indices(len(self))))
        m = range(len(self))[index]
        rows = range(int(self.first_M1[m]), int(self.first_M1[m + 1]))
        return Shard(self.id_M16[m].tobytes().hex(), PlannedClips(self, rows))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Items) and len(self) == len(other) and all(map(Shard.__eq__, self, other))

    def clip(self, row: int) -> Clip:
        """Makes the clip of one row."""
        s, start, variant = int(self.sequence_C[row]), int(self.start_C[row]), int(self.variant_C[row])
        frames = self.sequences.frames(s, start, start + int(self.span_C[row]))
        of = self.sequences.ids[s].as_py(), self.splits[s].as_py()
        return _clip(self.clip_C16[row].tobytes(), *of, (variant, start), frames, self.variant_settings[variant])


class PlannedClips(Items[Clip]):
    """Some clips of a plan. `Clip` objects are made when they are used, which a driver that hands out millions never
    does: they are sent as columns, and what receives them gets objects."""

    __slots__ = ("_of", "_rows")

    def __init__(self, of: Shards, rows: range) -> None:
        self._of, self._rows = of, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> "PlannedClips": ...
    def __getitem__(self, index: "int | slice") -> "Clip | PlannedClips":
        if isinstance(index, slice):
            return PlannedClips(self._of, self._rows[index])
        return self._of.clip(self._rows[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Items) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        of, rows = self._of, np.array(self._rows)
        sequence_C, variants, starts = of.sequence_C[rows], of.variant_C[rows].tolist(), of.start_C[rows]
        spans = of.sequences.select_spans(sequence_C, starts, of.span_C[rows])
        names = of.splits.dictionary.to_pylist()
        splits = [names[i] for i in of.splits.indices.to_numpy()[sequence_C].tolist()]
        variant_settings = {v: of.variant_settings[v].fields for v in set(variants)}
        return _clips, (of.clip_C16[rows].tobytes(), spans, splits, variants, starts.tolist(), variant_settings)


def _clips(
    ids: bytes,
    spans: Sequences,
    splits: list[str],
    variants: list[int],
    starts: list[int],
    variant_settings: dict[int, tuple[Any, ...]],
) -> tuple[Clip, ...]:
    """Makes clips from columns. ``spans``: a sequence per clip, of its frames before edits of time;
    ``variant_settings``: `VariantSettings.fields` by variant."""
    made = {variant: VariantSettings(*fields) for variant, fields in variant_settings.items()}
    places = zip(range(0, len(ids), ID_BYTES), spans.ids.to_pylist(), splits, variants, starts, strict=True)
    return tuple(
        _clip(ids[at : at + ID_BYTES], name, split, (v, start), spans.frames(c, 0, int(length)), made[v])
        for c, ((at, name, split, v, start), length) in enumerate(zip(places, spans.length_S, strict=True))
    )


def _clip(
    clip_id: bytes, sequence_id: str, split: str, place: tuple[int, int], frames: Frames, chosen: VariantSettings
) -> Clip:
    """Makes a clip. ``place``: variant and start; ``frames``: before edits of time."""
    for step in chosen.steps:
        frames = frames[::step]
    return Clip(clip_id.hex(), sequence_id, *place, frames, split, chosen.seed, chosen.exemplar, chosen.donors)


def every_nth(frames_C: NDArray[np.int32], stride: NDArray[np.int32] | int) -> NDArray[np.int32]:
    """Counts how many of so many frames are left, the first among them, at a stride."""
    return -(-frames_C // stride)
