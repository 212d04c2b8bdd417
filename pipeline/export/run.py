"""Exporting unit by unit, by threads: what is done is marked, so that the same command goes on after a kill."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.versions import MANIFEST_FILE
from flowreel.pipeline.reader.dataset import Dataset
from flowreel.pipeline.storage import NotFound, Store
from flowreel.schemas.errors import UsageError

MARKS = ".flowreel"  # folder of the destination
Put = Callable[[str, bytes], None]  # path in the destination, content
Record = dict[str, Any]  # what a unit leaves for the end: plain JSON


@dataclass(frozen=True)
class Unit:
    """Clips that are exported together: what is done, marked and resumed."""

    name: str
    clips: Sequence[int]


class Format(Protocol):
    """A format: how clips become files."""

    name: str

    def units(self, dataset: Dataset) -> Sequence[Unit]: ...

    def write(self, dataset: Dataset, unit: Unit, put: Put) -> Record:
        """Writes a unit's files; several threads at once."""
        ...

    def close(self, dataset: Dataset, records: Iterator[Record], folder: Path) -> Sequence[Path]:
        """Files for the whole, below ``folder`` of this machine as they shall lie in the destination."""
        ...


@dataclass(frozen=True)
class Summary:
    """What an export holds, and how much of it was there already."""

    clips: int
    frames: int
    units: int
    kept: int  # units


def export(
    dataset: Dataset, target: Store, form: Format, progress: Callable[[int, int], None] | None = None
) -> Summary:
    """Writes a version in another format; what an earlier, interrupted export of it finished is kept.

    Raises UsageError if something else was exported there, StorageError, IntegrityError or ValueError for damage.
    """
    units = form.units(dataset)
    _claim(dataset, target, form)
    done = {info.path for info in target.list(f"{MARKS}/units")}
    todo = [unit for unit in units if _mark(unit) not in done]

    def one(unit: Unit) -> None:
        record = form.write(dataset, unit, target.write)
        target.write(_mark(unit), json.dumps(record).encode())

    for count, _ in enumerate(prefetch(one, todo, os.cpu_count() or 1), start=len(units) - len(todo) + 1):
        if progress:
            progress(count, len(units))
    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        for file in form.close(dataset, _records(target, units), Path(folder)):
            target.upload(file.relative_to(folder).as_posix(), file)
    return Summary(sum(len(unit.clips) for unit in units), dataset.frames, len(units), len(units) - len(todo))


def _mark(unit: Unit) -> str:
    return f"{MARKS}/units/{unit.name}.json"


def _records(target: Store, units: Sequence[Unit]) -> Iterator[Record]:
    """In the order of the units; read ahead, not held."""
    for data in prefetch(lambda unit: target.read(_mark(unit)), units, 8):
        yield json.loads(data)


def _claim(dataset: Dataset, target: Store, form: Format) -> None:
    """One destination holds one version in one format."""
    mine = {"format": form.name, "manifest": dataset.version.record.files[MANIFEST_FILE].sha256}
    try:
        found = json.loads(target.read(f"{MARKS}/export.json"))
    except NotFound:
        target.write(f"{MARKS}/export.json", json.dumps(mine).encode())
        return
    if found != mine:
        raise UsageError(
            f"{target.uri} holds an export as {found['format']} of another version or dataset, or in another format;"
            f" choose another place for this one, {form.name}, or empty that one"
        )
