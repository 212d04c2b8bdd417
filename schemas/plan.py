"""The plan: which clips a spec wants, which of them a version already has, and the shards of the rest."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from flowreel.schemas.numbers import Positive, Side
from flowreel.schemas.shards import Shards

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
class RenderSettings:
    """The resolved `auto` values of a spec, which the plan keeps so that a resumed run repeats them."""

    device: Literal["cpu", "cuda"]
    batch: Positive
    precision: Literal["float32", "bfloat16", "float16"]
    size: tuple[Side, Side]  # width, height
    generator: str  # digest
    encoding: str = ""  # of the source's maps, with the digest of its file; "" for plain ids
    none_rules: str = ""  # what the source's instance maps say "no instance" by, where that is not 0 alone


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is left to do for a spec on top of the dataset's newest version."""

    plan_id: str
    base_version: int | None  # the version it builds on
    settings: RenderSettings
    shards: Shards  # to render
    reused: pa.Array  # CLIP_ID: clips of the base version that the spec still wants
    dropped: int  # clips of the base version that the spec no longer wants, or whose quality is beyond its bounds
    excluded: pa.Array  # CLIP_ID: wanted, but rejected by the gates or failed, as the base version says
    too_short: tuple[str, ...]  # spans of sequences that `lead_in: drop` leaves without any output

    @property
    def clip_count(self) -> int:
        """Counts the clips to render."""
        return self.shards.clip_count

    @property
    def frame_count(self) -> int:
        """Counts the label frames to render."""
        return int(self.shards.frames_C.sum())
