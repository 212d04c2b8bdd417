"""The plan: which clips a spec wants, which of them a version already holds, and the shards of the rest."""

from dataclasses import dataclass
from typing import Literal

from schemas.sequence import Frame


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A first-frame image that sets the look."""

    uri: str
    digest: str


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to render: label frames [start, start + len(frames)) of a sequence in one variant."""

    clip_id: str
    sequence_id: str
    variant: int  # index into spec.variants
    start: int  # index of its first label frame in the sequence
    frames: tuple[Frame, ...]
    split: str
    seed: int
    exemplar: Exemplar | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """Clips of one length that one actor renders and one data file holds."""

    shard_id: str
    clips: tuple[Clip, ...]

    @property
    def frame_count(self) -> int:
        return sum(len(clip.frames) for clip in self.clips)


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """What the plan has settled so that a resumed run repeats it: the `auto` values of the spec."""

    device: Literal["cpu", "cuda"]
    batch: int
    precision: Literal["float32", "bfloat16", "float16"]
    size: tuple[int, int]  # width, height
    generator: str  # digest


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is left to do for a spec on top of the dataset's newest version."""

    plan_id: str
    base_version: int | None  # the version it builds on
    settings: RenderSettings
    shards: tuple[Shard, ...]  # to render
    reused: frozenset[str]  # clip ids that the base version holds and the spec still wants
    dropped: int  # clips of the base version that the spec no longer wants
    too_short: tuple[str, ...]  # pieces of sequences that `lead_in: drop` leaves without any output

    @property
    def clip_count(self) -> int:
        """Clips to render."""
        return sum(len(shard.clips) for shard in self.shards)

    @property
    def frame_count(self) -> int:
        """Label frames to render."""
        return sum(shard.frame_count for shard in self.shards)
