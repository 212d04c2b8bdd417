"""The version record, ``versions/NNNNNN/version.json``: written last; a version exists when it does."""

from typing import Any

from pydantic import Field

from flowreel.schemas.model import Model
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec


class FileRecord(Model):
    """A file of the version: bytes and SHA-256."""

    size: int
    sha256: str


class SplitCounts(Model):
    """The numbers of one split of a version."""

    sequences: int
    clips: int
    frames: int


class Counts(Model):
    """The numbers of a version, and how it came about."""

    sequences: int
    clips: int
    frames: int
    shards: int
    bytes: int  # of all data files that it names
    rendered: int  # clips rendered by the run that published it
    reused: int  # clips taken over from the version before
    dropped: int  # clips of the version before that it no longer holds
    failed: int
    rejected: int
    splits: dict[str, SplitCounts] = Field({}, description="with empty ones; {}: published by an older release")


class Work(Model):
    """The work of one worker without a longer pause."""

    worker: str
    began: float  # Unix time
    ended: float
    shards: int
    frames: int
    seconds: dict[str, float]  # per stage, of all threads


class VersionRecord(Model):
    """Everything about a version that is not in its manifest. The only file with times, hosts and tokens."""

    number: int
    name: str
    base_version: int | None
    plan_id: str
    created: str  # UTC, ISO 8601
    host: str
    token: str  # unique to the writer: tells one's own commit from another's
    flowreel: str
    render_format: int
    counts: Counts
    files: dict[str, FileRecord]  # of the version's folder, by name
    label_space: dict[str, Any]
    generator: dict[str, Any]
    settings: RenderSettings  # the `auto` values of the spec, as they were resolved
    spec: Spec  # without storage_options
    no_instance: int | None = None  # the id that means it in instance maps; older versions: 0, and 255 in 8 bits
    work: tuple[Work, ...] = ()  # of the run that published it
