"""What disks and drivers say of an object -> `FileInfo`."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flowreel.pipeline.storage_protocol import FileInfo

TAG_KEYS = ("ETag", "etag", "md5Hash", "generation")
TIME_KEYS = ("LastModified", "last_modified", "mtime", "updated", "created")


def stat_of_entry(entry: os.DirEntry[str]) -> os.stat_result:
    """Of a file, or of a link to nowhere. Raises FileNotFoundError if it is gone."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return entry.stat(follow_symlinks=False)


def info_of_file(path: str, stat: os.stat_result) -> FileInfo:
    """Of a local file; its tag is the time of its last change."""
    return FileInfo(path, stat.st_size, str(stat.st_mtime_ns), stat.st_mtime)


def info_of_object(path: str, raw: Mapping[str, Any]) -> FileInfo:
    """Of what an fsspec driver says; each has names of its own."""
    modified_s = _seconds(_first(raw, TIME_KEYS) or 0.0)
    tag = _first(raw, TAG_KEYS)
    return FileInfo(path, int(raw["size"]), str(tag).strip('"') if tag else repr(modified_s), modified_s)


def _first(raw: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:  # a loop: sources have millions of files
        if found := raw.get(key):
            return found
    return None


def _seconds(time: Any) -> float:
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    return float(time.timestamp() if isinstance(time, datetime) else time)
