"""The operations that differ between a local folder and a bucket, one call each: no retries, errors as they come.

Paths are relative to the root and have been checked by the Store.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

from flowreel.pipeline.storage.atomic_write import (
    create_file,
    create_in_memory,
    create_object,
    replace_file,
    replace_with_copy,
)
from flowreel.pipeline.storage.errors import NotFound, TryAgain, status_of
from flowreel.pipeline.storage.protocol import FileInfo, info_of_file, info_of_object, stat_of_entry
from flowreel.schemas.errors import StorageError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"}
# Retries are the Store's alone: with botocore's and s3fs's own on top, an outage takes minutes to show.
S3_CONFIG = {"retries": {"total_max_attempts": 1}, "max_pool_connections": 32}
RANGE_BEYOND_END = 416
WHOLE = 2**50  # bytes: no object has more
READERS = 8  # requests of one call under way at once


class Folder:
    """A folder on a disk. Its methods are those of `protocol.Backend`."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def walk(self, folder: str) -> Iterator[FileInfo]:
        """Yields all files below a folder, following links.

        Raises for folders that cannot be read: skipping them would look like missing frames. A link to nowhere is
        listed, so that whoever reads it gets the error.
        """
        top = self._root / folder
        if top.exists():
            yield from self._walk(top, ())

    def _walk(self, folder: Path, above: tuple[str, ...]) -> Iterator[FileInfo]:
        """Yields the files below a folder. `above`: the real paths of the folders that lead to it. Raises StorageError
        for a loop of links."""
        here = os.path.realpath(folder)
        if here in above:
            raise StorageError(f"Cannot list {folder}: it is a link to a folder that holds it. Remove the link.")
        files, folders = self._entries(folder)
        yield from files
        for name in folders:
            yield from self._walk(folder / name, (*above, here))

    def level(self, folder: str) -> tuple[list[FileInfo], list[str]]:
        top = self._root / folder
        if not top.exists():
            return [], []
        files, folders = self._entries(top)
        return files, [f"{folder}/{name}".lstrip("/") for name in folders]

    def _entries(self, folder: Path) -> tuple[list[FileInfo], list[str]]:
        """Lists the files in a folder, and the names of the folders in it."""
        files, folders, below = [], [], folder.relative_to(self._root).as_posix()
        prefix = "" if below == "." else below + "/"
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry.name)
                    continue
                with suppress(FileNotFoundError):  # gone meanwhile
                    files.append(info_of_file(prefix + entry.name, stat_of_entry(entry)))
        return files, folders

    def stat(self, path: str) -> FileInfo:
        full = self._root / path
        if full.is_dir():
            raise FileNotFoundError(f"{full} is a folder")
        return info_of_file(path, os.stat(full))

    def read(self, path: str, start: int, stop: int) -> bytes:
        with open(self._root / path, "rb") as file:
            file.seek(start)
            size = os.fstat(file.fileno()).st_size
            return file.read(max(0, min(stop, size) - start))  # Python takes memory for all that is asked for

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        def one(path: str) -> bytes | None:
            try:
                return (self._root / path).read_bytes()
            except OSError:
                return None

        with ThreadPoolExecutor(READERS) as pool:  # for folders of a network
            return list(pool.map(one, paths))

    def replace(self, path: str, data: bytes) -> None:
        replace_file(self._root / path, data)

    def upload(self, path: str, local: Path) -> None:
        replace_with_copy(self._root / path, local)

    def create(self, path: str, data: bytes) -> bool:
        return create_file(self._root / path, data)

    def delete(self, path: str) -> None:
        os.unlink(self._root / path)

    def check(self, make: bool) -> None:
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        with os.scandir(self._root):
            pass


class Bucket:
    """A place in an object store, or in fsspec's memory store. Its methods are those of `protocol.Backend`."""

    def __init__(self, uri: str, options: Mapping[str, Any]) -> None:
        self._uri = uri
        self._protocol = uri.partition("://")[0]
        is_s3 = EXTRAS.get(self._protocol) == "s3"
        settings = {} if self._protocol == "memory" else {**options, "use_listings_cache": False}
        if is_s3:
            settings["config_kwargs"] = {**S3_CONFIG, **(options.get("config_kwargs") or {})}
        self._fs, root = fsspec.core.url_to_fs(uri, **settings)  # fsspec keeps one instance a process and settings
        self._root = root.rstrip("/")
        if is_s3:
            self._fs.retries = 1

    def walk(self, folder: str) -> Iterator[FileInfo]:
        top = f"{self._root}/{folder}".rstrip("/")
        try:
            found = self._fs.find(top, detail=True)
        except FileNotFoundError:
            found = {}
        if not found:
            self._check_bucket()
        for name, raw in found.items():
            if self._is_below(top, name, raw):
                yield info_of_object(name[len(self._root) + 1 :], raw)

    def level(self, folder: str) -> tuple[list[FileInfo], list[str]]:
        top = f"{self._root}/{folder}".rstrip("/")
        try:
            found = self._fs.ls(top, detail=True)
        except FileNotFoundError:
            found = []
        if not found:
            self._check_bucket()
        start = len(self._root) + 1
        folders = [raw["name"].rstrip("/")[start:] for raw in found if raw["type"] == "directory"]
        files = [raw for raw in found if self._is_below(top, raw["name"], raw)]
        return [info_of_object(raw["name"][start:], raw) for raw in files], [name for name in folders if name]

    def _is_below(self, top: str, name: str, raw: Mapping[str, Any]) -> bool:
        """Tells whether an entry is a file below `top`; a root that is itself an object is not, nor are the empty
        objects that stand for folders."""
        return name.startswith(top + "/") and not name.endswith("/") and raw["type"] == "file"

    def stat(self, path: str) -> FileInfo:
        raw = self._fs.info(self._full(path))
        if raw["type"] != "file":
            raise FileNotFoundError(f"{path} is a folder")
        return info_of_object(path, raw)

    def read(self, path: str, start: int, stop: int) -> bytes:
        try:
            return bytes(self._fs.cat_file(self._full(path), start=start, end=stop))
        except Exception as error:
            if status_of(error) == RANGE_BEYOND_END:  # also for any range of an empty object
                return b""
            raise

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        """Reads whole objects by a range that reaches beyond their end: for whole objects s3fs would ask for their size
        first."""
        at_once = {"batch_size": READERS} if self._fs.async_impl else {}
        found = self._fs.cat_ranges([*map(self._full, paths)], 0, WHOLE, on_error="return", **at_once)
        return [data if isinstance(data, bytes) else None for data in found]

    def replace(self, path: str, data: bytes) -> None:
        self._fs.pipe_file(self._full(path), data)

    def upload(self, path: str, local: Path) -> None:
        self._fs.put_file(str(local), self._full(path))

    def create(self, path: str, data: bytes) -> bool:
        full = self._full(path)
        if self._protocol == "memory":
            return create_in_memory(self._fs, full, data)
        if self._protocol not in EXTRAS:
            known = ", ".join(sorted(EXTRAS))
            raise StorageError(f"Cannot create {self._uri}/{path} safely: use a local folder or one of {known}.")
        return create_object(lambda: self._fs.pipe_file(full, data, mode="create"), lambda: self._holds(path, data))

    def delete(self, path: str) -> None:
        self._fs.rm_file(self._full(path))

    def check(self, make: bool) -> None:
        """Raises if the place cannot be listed. An empty place in a bucket is readable, as an empty folder is."""
        try:
            if "/" not in self._root:
                self._fs.ls(self._root, detail=False)
            elif self._fs.info(self._root)["type"] == "file":
                raise NotADirectoryError(f"{self._uri} is an object, not a folder")
        except FileNotFoundError:
            self._check_bucket()

    def _check_bucket(self) -> None:
        """Raises NotFound if the bucket does not exist; does nothing if credentials give access only to its content."""
        if self._protocol not in EXTRAS:
            return
        try:
            self._fs.info(self._root.partition("/")[0])
        except FileNotFoundError:
            raise NotFound(
                f"Cannot use {self._uri}: there is no such bucket. Create it, or correct its name or endpoint_url."
            ) from None
        except (OSError, ValueError):
            return

    def _holds(self, path: str, data: bytes) -> bool:
        """Tells whether an object's content is `data`. Raises TryAgain if its body came incomplete."""
        if self.stat(path).size != len(data):
            return False
        stored = self.read(path, 0, len(data))
        if len(stored) != len(data):
            raise TryAgain(f"{len(stored)} bytes arrived instead of {len(data)}")
        return stored == data

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"
