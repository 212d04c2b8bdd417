"""Marks of the units that an export has finished: which files each wrote, so that a later export can tell whether they
are still there as they were written."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.file_hash import size_and_hash
from flowreel.pipeline.identity import digest
from flowreel.pipeline.storage import NotFound, Store
from flowreel.schemas.errors import StorageError

MARKS = ".flowreel"  # folder of the destination


class Mark:
    """The mark of one unit, while its files are written."""

    def __init__(self, target: Store) -> None:
        self._target, self._files = target, dict[str, list[Any]]()

    def put(self, path: str, data: bytes) -> None:
        """Writes a file of the unit. Raises StorageError if that fails."""
        self._target.write(path, data)
        self._files[path] = [len(data), hashlib.sha256(data).hexdigest()]

    def finish(self, name: str, record: dict[str, Any]) -> None:
        """Marks the unit as finished; ``record``: what `Format.close` needs of it."""
        body = {"files": self._files, "record": record}
        self._target.write(mark_path(name), json.dumps({**body, "digest": digest(body)}).encode())


def mark_path(unit: str) -> str:
    """Gives the path of a unit's mark in the destination."""
    return f"{MARKS}/units/{unit}.json"


def written_before(target: Store, units: Sequence[str]) -> Iterator[bool]:
    """Tells for each unit whether it is finished, and all that it wrote is still there as it was: sizes are compared,
    then hashes."""
    sizes = {info.path: info.size for info in target.list()}

    def good(unit: str) -> bool:
        if mark_path(unit) not in sizes:
            return False
        try:
            files = _files_of(target.read(mark_path(unit)))
            if files is None or any(sizes.get(path) != size for path, (size, _) in files.items()):
                return False
            return all(size_and_hash(target, path) == (size, sha256) for path, (size, sha256) in files.items())
        except NotFound:
            return False

    return prefetch(good, units, os.cpu_count() or 1)


def _files_of(data: bytes) -> dict[str, tuple[int, str]] | None:
    """Reads the files that a mark names; None for one that is damaged, or of an earlier release."""
    try:
        mark = json.loads(data)
        body = {name: mark[name] for name in ("files", "record")}
        if mark["digest"] != digest(body):
            return None
        return {path: (int(size), str(sha256)) for path, (size, sha256) in mark["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, StorageError):
        return None
