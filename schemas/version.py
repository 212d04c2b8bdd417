"""The version record, ``versions/NNNNNN/version.json``: written last; a version exists when it does."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Hash, Long, Natural, Positive, Time
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec


def _time(text: str) -> str:
    """Returns the text. Raises ValueError if it is no time."""
    try:
        datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time in ISO 8601") from None
    return text


def _label_space(tree: dict[str, Any]) -> dict[str, Any]:
    """Returns a label space with all its fields. Raises ValueError if it is none."""
    return LabelSpace.model_validate(tree).model_dump(mode="json")


def _generator(tree: dict[str, Any]) -> dict[str, Any]:
    """Returns what a version says of its generator. Raises ValueError for a part that is missing or of another kind."""
    wrong = [name for name in ("digest", "checkpoint") if not isinstance(tree.get(name), str)]
    config = tree.get("config", {})
    held_out = config.get("held_out", []) if isinstance(config, dict) else None
    if not isinstance(held_out, list) or not all(isinstance(name, str) for name in held_out):
        wrong.append("config.held_out" if isinstance(config, dict) else "config")
    if wrong:
        raise ValueError(f"{wrong[0]} is missing or of another kind")
    return tree


class FileRecord(Model):
    """A file of the version: bytes and SHA-256."""

    size: Long
    sha256: Hash


class SplitCounts(Model):
    """The numbers of one split of a version."""

    sequences: Long
    clips: Long
    frames: Long


class Counts(Model):
    """The numbers of a version, and how it came about."""

    sequences: Long
    clips: Long
    frames: Long
    shards: Long
    bytes: Long  # of all data files that it names
    rendered: Long  # clips rendered by the run that published it
    reused: Long  # clips taken over from the version before
    dropped: Long  # clips of the version before that it no longer holds
    failed: Long
    rejected: Long
    splits: dict[str, SplitCounts] = Field({}, description="with empty ones; {}: published by an older release")


class Work(Model):
    """The work of one worker without a longer pause."""

    worker: str
    began: Time  # Unix time
    ended: Time
    shards: Long
    frames: Long
    seconds: dict[str, Time]  # per stage, of all threads


class VersionRecord(Model):
    """Everything about a version that is not in its manifest. The only file with times, hosts and tokens."""

    number: Positive
    name: str
    base_version: Positive | None
    plan_id: str
    created: Annotated[str, AfterValidator(_time)]  # UTC, ISO 8601
    host: str
    token: str  # unique to the writer: tells one's own commit from another's
    flowreel: str
    render_format: Natural
    counts: Counts
    files: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[a-z]+)?$")], FileRecord]  # of its folder, by name
    label_space: Annotated[dict[str, Any], AfterValidator(_label_space)]
    generator: Annotated[dict[str, Any], AfterValidator(_generator)]
    settings: RenderSettings  # the `auto` values of the spec, as they were resolved
    spec: Spec  # without storage_options
    no_instance: int | None = None  # the id that means it in instance maps; older versions: 0, and 255 in 8 bits
    work: tuple[Work, ...] = ()  # of the run that published it
