"""Exports unit by unit on several threads. Finished units are marked: if interrupted, run the same command to
resume. What an earlier export finished is compared with its marks, and written again if it differs."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.own_files import is_temporary
from flowreel.pipeline.dataset.versions import MANIFEST_FILE
from flowreel.pipeline.export.clip import ClipSource
from flowreel.pipeline.export.marks import MARKS, Mark, mark_path, written_before
from flowreel.pipeline.reader.dataset import Dataset
from flowreel.pipeline.storage import TEMPORARY_SUFFIX, NotFound, Store, overlap
from flowreel.schemas.errors import UsageError

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

    def write(self, source: ClipSource, unit: Unit, put: Put) -> Record:
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


def check_target(dataset: Store, target: Store) -> None:
    """Raises UsageError for a destination that is the dataset itself, lies in it or holds it, links followed."""
    if overlap(dataset, target):
        raise UsageError(
            f"{target.uri} and the dataset {dataset.uri} lie in one another; export to a folder outside of it"
        )


def export(
    dataset: Dataset, target: Store, form: Format, progress: Callable[[int, int], None] | None = None
) -> Summary:
    """Writes a version in another format; what an earlier export wrote is kept where it is still what it was.

    Nothing is handed on of a file whose hash is not the published one. Raises UsageError if something else was exported
    there, or for a destination in the dataset, IntegrityError for damage, StorageError if a store keeps failing.
    """
    check_target(dataset.version.dataset, target)
    source, units = ClipSource.of(dataset), form.units(dataset)
    _claim(dataset, target, form)
    left_over = _temporaries(target)
    names = [unit.name for unit in units]
    kept = {name for name, good in zip(names, written_before(target, names), strict=True) if good}

    def one(unit: Unit) -> None:
        mark = Mark(target)
        mark.finish(unit.name, form.write(source, unit, mark.put))

    todo = [unit for unit in units if unit.name not in kept]
    for count, _ in enumerate(prefetch(one, todo, os.cpu_count() or 1), start=len(units) - len(todo) + 1):
        if progress:
            progress(count, len(units))
    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        for file in form.close(source.dataset, _records(target, units), Path(folder)):
            target.upload(file.relative_to(folder).as_posix(), file)
    # Those that another export is just writing were not there before, or have changed.
    target.delete(*(path for path, tag in _temporaries(target).items() if left_over.get(path) == tag))
    return Summary(sum(len(unit.clips) for unit in units), dataset.frames, len(units), len(kept))


def _temporaries(target: Store) -> dict[str, str]:
    """Finds files that were being written when an export was killed: their tags by path."""
    return {i.path: i.tag for i in target.list(pattern=f"**/.*{TEMPORARY_SUFFIX}") if is_temporary(i.path)}


def _records(target: Store, units: Sequence[Unit]) -> Iterator[Record]:
    """Yields the records in the order of the units, prefetched."""
    for data in prefetch(lambda unit: target.read(mark_path(unit.name)), units, 8):
        yield json.loads(data)["record"]


def _claim(dataset: Dataset, target: Store, form: Format) -> None:
    """Marks the destination, which holds one version in one format. Raises UsageError if it holds another."""
    mine = {"format": form.name, "manifest": dataset.version.record.files[MANIFEST_FILE].sha256}
    path = f"{MARKS}/export.json"
    try:
        found = json.loads(target.read(path))
    except NotFound:
        target.write(path, json.dumps(mine).encode())
        return
    except (ValueError, RecursionError):
        raise UsageError(
            f"{target.url(path)}: damaged, so what was exported there is unknown; empty {target.uri}, or choose another"
            " place"
        ) from None
    if found != mine:
        other = found.get("format") if isinstance(found, dict) else None
        raise UsageError(
            f"{target.uri} holds an export as {other} of another version or dataset, or in another format; choose"
            f" another place for this one, {form.name}, or empty it"
        )
