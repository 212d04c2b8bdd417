"""Says what became of a clip and of a shard: every planned clip ends in exactly one of three ways."""

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator

from flowreel.schemas.numbers import Hash, Long, Natural, Time

# Kinds of failures beside the names of exception types.
WORKER_DIED = "worker_died"  # the clip took its worker down
SHARD_FAILED = "shard_failed"  # outside of the steps that are tried clip by clip
INPUT = "input"  # what the clip is rendered from is gone, changed or damaged
UNKNOWN = "unknown"  # recorded by an earlier release


def _base64(text: str) -> str:
    """Returns the text. Raises ValueError if it is no base64."""
    b64decode(text, validate=True)  # its error is a ValueError
    return text


@dataclass(frozen=True, slots=True)
class Rendered:
    """Says that the clip is in the shard's data file."""

    clip_id: str
    frames: Natural


@dataclass(frozen=True, slots=True)
class Rejected:
    """Says that the clip was rendered, and that a quality gate of the spec rejected it."""

    clip_id: str
    reason: str  # for people
    thumbnail: Annotated[str, AfterValidator(_base64)] = ""  # JPEG in base64: what it looked like
    kind: str = UNKNOWN  # for counting: the column of the manifest that the gate is on


@dataclass(frozen=True, slots=True)
class Failed:
    """Says that the clip could not be rendered."""

    clip_id: str
    reason: str  # for people
    error: str = ""  # traceback, where there is one
    attempts: Natural = 1
    kind: str = UNKNOWN  # for counting: WORKER_DIED, SHARD_FAILED, INPUT, or the name of an exception's type


ClipOutcome = Rendered | Rejected | Failed


@dataclass(frozen=True, slots=True)
class DataFile:
    """Names a stored data file: path relative to the dataset, bytes, SHA-256 in hex."""

    path: str
    size: Long
    sha256: Hash


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """Says what became of a finished shard. Small: no media."""

    shard_id: str
    file: DataFile | None  # None where no clip of it was rendered
    clips: tuple[ClipOutcome, ...]
    worker: str = ""
    seconds: dict[str, Time] = field(default_factory=dict)  # per stage: fetch, generate, encode, write
    began: Time = 0  # Unix time; 0 where nobody measured it
    ended: Time = 0

    @property
    def frames(self) -> int:
        """Counts the frames that were rendered."""
        return sum(c.frames for c in self.clips if isinstance(c, Rendered))

    @property
    def lost(self) -> tuple[Rejected | Failed, ...]:
        """Gives the clips that are not in the data file, in the shard's order."""
        return tuple(c for c in self.clips if not isinstance(c, Rendered))
