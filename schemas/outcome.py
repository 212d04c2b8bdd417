"""What became of a clip and of a shard: every planned clip ends in exactly one of three ways."""

import re
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

WORKER_DIED = "its worker died: "  # how the reason of a clip begins that took its worker down
SHARD_FAILED = "its shard failed: "  # of one that failed outside of the steps that are tried clip by clip


@dataclass(frozen=True, slots=True)
class Rendered:
    """The clip is in the shard's data file."""

    clip_id: str
    frames: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The clip was rendered, and a quality gate of the spec turned it down."""

    clip_id: str
    reason: str
    thumbnail: str = ""  # JPEG in base64: what it looked like

    @property
    def kind(self) -> str:
        """What a gate's reason begins with: the name of the measure. One of few, for counting."""
        return self.reason.split(" ", 1)[0]


@dataclass(frozen=True, slots=True)
class Failed:
    """The clip could not be rendered."""

    clip_id: str
    reason: str  # for people
    error: str = ""  # traceback, where there is one
    attempts: int = 1

    @property
    def kind(self) -> str:
        """One of few, for counting: what became of the worker or shard, the type of an exception, or `input`."""
        if self.reason.startswith(WORKER_DIED):
            return "worker_died"
        if self.reason.startswith(SHARD_FAILED):
            return "shard_failed"
        named = re.match(r"(\w+): ", self.reason) if self.error else None
        return named[1] if named else "input"


ClipOutcome = Rendered | Rejected | Failed


@dataclass(frozen=True, slots=True)
class DataFile:
    """A stored data file: path relative to the dataset, bytes, SHA-256."""

    path: str
    size: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """A finished shard, small: no media."""

    shard_id: str
    file: DataFile | None  # None where no clip of it was rendered
    clips: tuple[ClipOutcome, ...]
    worker: str = ""
    seconds: dict[str, float] = field(default_factory=dict)  # per stage: fetch, generate, encode, write
    began: float = 0  # Unix time; 0 where nobody measured it
    ended: float = 0

    @property
    def frames(self) -> int:
        return sum(c.frames for c in self.clips if isinstance(c, Rendered))

    @property
    def lost(self) -> tuple[Rejected | Failed, ...]:
        return tuple(c for c in self.clips if not isinstance(c, Rendered))
