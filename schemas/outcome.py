"""Says what became of a clip and of a shard: every planned clip ends in exactly one of three ways."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

# Kinds of failures beside the names of exception types.
WORKER_DIED = "worker_died"  # the clip took its worker down
SHARD_FAILED = "shard_failed"  # outside of the steps that are tried clip by clip
INPUT = "input"  # what the clip is rendered from is gone, changed or damaged
UNKNOWN = "unknown"  # recorded by an earlier release


@dataclass(frozen=True, slots=True)
class Rendered:
    """Says that the clip is in the shard's data file."""

    clip_id: str
    frames: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Says that the clip was rendered, and that a quality gate of the spec rejected it."""

    clip_id: str
    reason: str  # for people
    thumbnail: str = ""  # JPEG in base64: what it looked like
    kind: str = UNKNOWN  # for counting: the column of the manifest that the gate is on


@dataclass(frozen=True, slots=True)
class Failed:
    """Says that the clip could not be rendered."""

    clip_id: str
    reason: str  # for people
    error: str = ""  # traceback, where there is one
    attempts: int = 1
    kind: str = UNKNOWN  # for counting: WORKER_DIED, SHARD_FAILED, INPUT, or the name of an exception's type


ClipOutcome = Rendered | Rejected | Failed


@dataclass(frozen=True, slots=True)
class DataFile:
    """Names a stored data file: path relative to the dataset, bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """Says what became of a finished shard. Small: no media."""

    shard_id: str
    file: DataFile | None  # None where no clip of it was rendered
    clips: tuple[ClipOutcome, ...]
    worker: str = ""
    seconds: dict[str, float] = field(default_factory=dict)  # per stage: fetch, generate, encode, write
    began: float = 0  # Unix time; 0 where nobody measured it
    ended: float = 0

    @property
    def frames(self) -> int:
        """Counts the frames that were rendered."""
        return sum(c.frames for c in self.clips if isinstance(c, Rendered))

    @property
    def lost(self) -> tuple[Rejected | Failed, ...]:
        """Gives the clips that are not in the data file, in the shard's order."""
        return tuple(c for c in self.clips if not isinstance(c, Rendered))
