"""The plan: which clips a spec wants, which of them a version already holds, and the shards of the rest."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.sequence import Frame, Frames, Sequences

ID_BYTES = 16  # of a clip's or shard's id, which is written as 32 hex digits
CLIP_ID = pa.binary(ID_BYTES)

PLAN = pa.schema(
    [
        ("shard_id", pa.string()),
        ("clip_id", pa.string()),
        ("sequence_id", pa.string()),
        ("variant", pa.int32()),
        ("start", pa.int32()),
        ("frames", pa.int32()),
        ("split", pa.string()),
    ]
)  # one row per clip to render, in order of shards


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A first-frame image that sets the look."""

    uri: str
    digest: str


@dataclass(frozen=True, slots=True)
class Donor:
    """Frames of another sequence that an edit takes an object from."""

    sequence_id: str
    frames: Items[Frame]


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to render: label frames of a sequence from ``start`` on, in one variant.

    Edits of time have put ``frames`` into their order and left some out.
    """

    clip_id: str
    sequence_id: str
    variant: int  # index into spec.variants
    start: int  # index of its first label frame in the sequence
    frames: Items[Frame]
    split: str
    seed: int
    exemplar: Exemplar | None = None
    donors: tuple[Donor, ...] = ()  # one for each `insert` of the variant's edits

    def plain(self) -> tuple[Any, ...]:
        """Its fields, with frames as plain values where they are columns."""
        frames = self.frames.plain() if isinstance(self.frames, Frames) else self.frames
        about = (self.clip_id, self.sequence_id, self.variant, self.start, frames)
        return (*about, self.split, self.seed, self.exemplar, self.donors)

    @staticmethod
    def of_plain(values: tuple[Any, ...]) -> "Clip":
        clip_id, sequence_id, variant, start, frames, *rest = values
        if frames and isinstance(frames[0], str):
            frames = Frames.of_plain(frames)
        return Clip(clip_id, sequence_id, variant, start, frames, *rest)


@dataclass(frozen=True, slots=True)
class Shard:
    """Clips of one length that one actor renders and one data file holds."""

    shard_id: str
    clips: tuple[Clip, ...]

    @property
    def frame_count(self) -> int:
        return sum(len(clip.frames) for clip in self.clips)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent as plain values: the pickler asks for each object of another kind, which would cost more than the rest
        of a hand-out."""
        return _shard, (self.shard_id, [clip.plain() for clip in self.clips])


def _shard(shard_id: str, clips: list[tuple[Any, ...]]) -> Shard:
    return Shard(shard_id, tuple(map(Clip.of_plain, clips)))


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """What the plan has settled so that a resumed run repeats it: the `auto` values of the spec."""

    device: Literal["cpu", "cuda"]
    batch: int
    precision: Literal["float32", "bfloat16", "float16"]
    size: tuple[int, int]  # width, height
    generator: str  # digest


@dataclass(frozen=True, slots=True)
class Look:
    """What a variant gives to each of its clips."""

    seed: int
    exemplar: Exemplar | None
    donors: tuple[Donor, ...] = ()
    steps: tuple[int, ...] = ()  # slices of a clip's frames, one after the other: `schemas.edit.frame_steps`

    @property
    def stride(self) -> int:
        """Source frames from one frame of a clip to the next."""
        return prod(map(abs, self.steps))


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
    looks: tuple[Look, ...]  # per variant

    @property
    def clip_count(self) -> int:
        return len(self.clip_C16)

    @property
    def stride_C(self) -> NDArray[np.int32]:
        """Source frames from one frame of a clip to the next."""
        return np.array([look.stride for look in self.looks], np.int32)[self.variant_C]

    @property
    def frames_C(self) -> NDArray[np.int32]:
        """Label frames of each clip."""
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
        return Shard(self.id_M16[m].tobytes().hex(), tuple(self.clip(row) for row in rows))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Items) and len(self) == len(other) and all(map(Shard.__eq__, self, other))

    def clip(self, row: int) -> Clip:
        """The clip of one row."""
        s, start, variant = int(self.sequence_C[row]), int(self.start_C[row]), int(self.variant_C[row])
        look = self.looks[variant]
        frames = self.sequences.frames(s, start, start + int(self.span_C[row]))
        for step in look.steps:
            frames = frames[::step]
        return Clip(
            self.clip_C16[row].tobytes().hex(),
            self.sequences.ids[s].as_py(),
            variant,
            start,
            frames,
            self.splits[s].as_py(),
            look.seed,
            look.exemplar,
            look.donors,
        )


def every_nth(frames_C: NDArray[np.int32], stride: NDArray[np.int32] | int) -> NDArray[np.int32]:
    """How many of so many frames are left, the first among them."""
    return -(-frames_C // stride)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is left to do for a spec on top of the dataset's newest version."""

    plan_id: str
    base_version: int | None  # the version it builds on
    settings: RenderSettings
    shards: Shards  # to render
    reused: pa.Array  # CLIP_ID: clips that the base version holds and the spec still wants
    dropped: int  # clips of the base version that the spec no longer wants, or whose quality is beyond its bounds
    turned_down: pa.Array  # CLIP_ID: wanted, but by what the base version says rejected by the gates, or failed before
    too_short: tuple[str, ...]  # pieces of sequences that `lead_in: drop` leaves without any output

    @property
    def clip_count(self) -> int:
        """Clips to render."""
        return self.shards.clip_count

    @property
    def frame_count(self) -> int:
        """Label frames to render."""
        return int(self.shards.frames_C.sum())
