"""What became of a clip and of a shard: every planned clip ends in exactly one of three ways."""

from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class Failed:
    """The clip could not be rendered."""

    clip_id: str
    reason: str  # for people
    error: str = ""  # traceback, where there is one
    attempts: int = 1


ClipOutcome = Rendered | Rejected | Failed


@dataclass(frozen=True, slots=True)
class DataFile:
    """A stored data file: path relative to the dataset, bytes, SHA-256."""

    path: str
    size: int
    sha256: str


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
