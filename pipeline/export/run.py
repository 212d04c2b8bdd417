"""Exports unit by unit on several threads. Finished units are marked: if interrupted, run the same command to
resume."""

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
from flowreel.pipeline.storage import NotFound, Store, delete_leftovers
from flowreel.schemas.errors import UsageError

MARKS = ".flowreel"  # folder of the destination
Put = Callable[[str, bytes], None]  # path in the destination, content
Record = dict[str, Any]  # what `Format.close` needs of a unit: plain JSON


@dataclass(frozen=True)
class Unit:
    """Clips that are exported together: finished, marked and resumed as one."""

    name: str
    clips: Sequence[int]


class Format(Protocol):
    """A format, which turns clips into files."""

    name: str

    def units(self, dataset: Dataset) -> Sequence[Unit]:
        """Divides a dataset into units."""
        ...

    def write(self, dataset: Dataset, unit: Unit, put: Put) -> Record:
        """Writes a unit's files and gives its record; called by several threads at once."""
        ...

    def close(self, dataset: Dataset, records: Iterator[Record], folder: Path) -> Sequence[Path]:
        """Writes files for the whole below the local ``folder``, where they shall lie in the destination, and gives
        their paths."""
        ...


@dataclass(frozen=True)
class Summary:
    """The size of an export, and how much of it already existed."""

    clips: int
    frames: int
    units: int
    kept: int  # units


def export(
    dataset: Dataset, target: Store, form: Format, progress: Callable[[int, int], None] | None = None
) -> Summary:
    """Writes a version in another format; what an earlier, interrupted export finished is kept.

    Raises UsageError if something else was exported there, StorageError, IntegrityError or ValueError for damage.
    """
    units = form.units(dataset)
    _claim(dataset, target, form)
    delete_leftovers(target)
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
    """Yields the records in the order of the units, prefetched."""
    for data in prefetch(lambda unit: target.read(_mark(unit)), units, 8):
        yield json.loads(data)


def _claim(dataset: Dataset, target: Store, form: Format) -> None:
    """Marks the destination, which holds one version in one format. Raises UsageError if it holds another."""
    mine = {"format": form.name, "manifest": dataset.version.record.files[MANIFEST_FILE].sha256}
    try:
        found = json.loads(target.read(f"{MARKS}/export.json"))
    except NotFound:
        target.write(f"{MARKS}/export.json", json.dumps(mine).encode())
        return
    if found != mine:
        raise UsageError(
            f"{target.uri} holds an export as {found['format']} of another version or dataset, or in another format;"
            f" choose another place for this one, {form.name}, or empty it"
        )
