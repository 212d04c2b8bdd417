"""A clip to render, and the shards that clips are rendered in."""

from collections.abc import Sequence as Items
from dataclasses import dataclass

import pyarrow as pa

from flowreel.schemas.sequence import Frame

ID_BYTES = 16  # of a clip's or shard's id, which is written as 32 hex digits
CLIP_ID = pa.binary(ID_BYTES)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A first-frame image that sets the style."""

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

    Edits of time have already reordered ``frames`` and left some out.
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


@dataclass(frozen=True, slots=True)
class Shard:
    """Clips of one length that one actor renders and one data file holds."""

    shard_id: str
    clips: Items[Clip]

    @property
    def frame_count(self) -> int:
        """Counts the label frames of its clips."""
        return sum(len(clip.frames) for clip in self.clips)
