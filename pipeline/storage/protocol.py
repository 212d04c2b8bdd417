"""The operations a `Store` needs from a local folder or a bucket, and what they say of an object: `FileInfo`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

TAG_KEYS = ("ETag", "etag", "md5Hash", "generation")
TIME_KEYS = ("LastModified", "last_modified", "mtime", "updated", "created")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One object: path relative to the root, size in bytes, and a tag that changes when the content does.

    The tag is the etag, or the time of the last change where a store has no etags. `modified_s` is that time in
    Unix seconds by the store's clock, 0.0 where it isn't known.
    """

    path: str
    size: int
    tag: str
    modified_s: float


class Backend(Protocol):
    """The operations that a Store is made of."""

    def walk(self, folder: str) -> Iterator[FileInfo]:
        """Yields all objects below a folder, at any depth, in any order."""

    def level(self, folder: str) -> tuple[list[FileInfo], list[str]]:
        """Lists the objects and the folders directly in a folder, in any order."""

    def stat(self, path: str) -> FileInfo:
        """Gives the facts of one object. Raises FileNotFoundError for folders too."""

    def read(self, path: str, start: int, stop: int) -> bytes:
        """Reads the bytes [start, stop), fewer where the object ends earlier."""

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        """Reads whole objects, all requested at once; None for those that did not arrive at the first try."""

    def replace(self, path: str, data: bytes) -> None:
        """Creates or replaces an object in one step."""

    def upload(self, path: str, local: Path) -> None:
        """Creates or replaces an object by the content of a local file."""

    def create(self, path: str, data: bytes) -> bool:
        """Creates an object in one step; False if it exists."""

    def delete(self, path: str) -> None:
        """Deletes an object. May raise FileNotFoundError."""

    def check(self, make: bool) -> None:
        """Raises if the root can't be listed; `make`: creates it where that takes no decision (a folder, not a
        bucket)."""


def stat_of_entry(entry: os.DirEntry[str]) -> os.stat_result:
    """Gives the status of a file, or of a link that leads nowhere. Raises FileNotFoundError if it is gone."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return entry.stat(follow_symlinks=False)


def info_of_file(path: str, stat: os.stat_result) -> FileInfo:
    """Gives the facts of a local file; its tag is the time of its last change."""
    return FileInfo(path, stat.st_size, str(stat.st_mtime_ns), stat.st_mtime)


def info_of_object(path: str, raw: Mapping[str, Any]) -> FileInfo:
    """Gives the facts of an object from what an fsspec driver says; each driver has its own names."""
    modified_s = _seconds(_first(raw, TIME_KEYS) or 0.0)
    tag = _first(raw, TAG_KEYS)
    return FileInfo(path, int(raw["size"]), str(tag).strip('"') if tag else repr(modified_s), modified_s)


def _first(raw: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """Returns the first value that is not empty, None if there is none."""
    for key in keys:  # a loop: sources have millions of files
        if found := raw.get(key):
            return found
    return None


def _seconds(time: Any) -> float:
    """Converts a time (ISO text, datetime or number) to Unix seconds."""
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    return float(time.timestamp() if isinstance(time, datetime) else time)
