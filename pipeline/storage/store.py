"""Access to sequences, checkpoints and datasets: one root in a bucket or on a disk, as `open_store` opens it.

Stores misbehave, so bodies are checked for their length, transient errors are retried and listings are never cached.
"""

import hashlib
import io
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from fsspec.utils import glob_translate

from flowreel.pipeline.storage.atomic_write import TEMPORARY_SUFFIX, temporary_name
from flowreel.pipeline.storage.backends import WHOLE, Bucket, Folder
from flowreel.pipeline.storage.errors import TRIES, NotFound, explained, redact, retry
from flowreel.pipeline.storage.integrity import has, of_length, write_checked
from flowreel.pipeline.storage.parallel_listing import Level, list_pages
from flowreel.pipeline.storage.protocol import Backend, FileInfo
from flowreel.pipeline.storage.ranged_file import RangedFile
from flowreel.schemas.errors import StorageError

T = TypeVar("T")
Page = list[FileInfo]
Bodies = list[bytes | None]  # named outside of the class, whose `list` is another
log = logging.getLogger(__name__)

MAX_CREATE_BYTES = 5 * 2**20  # one PUT: S3 servers differ in what a condition on a multipart upload means
PREFLIGHT_TRIES = 2  # a preflight has to answer soon, also when the network swallows packets
DELETE_THREADS = 8


@dataclass(frozen=True)
class Store:
    """One root and how to reach it. Made by `open_store`; threads may share it, processes may send it to each other.

    Paths are relative to the root, with `/` between their parts, and cannot leave it. All methods raise StorageError:
    NotFound for what doesn't exist, Unavailable when the store keeps failing.
    """

    uri: str  # without credentials: an absolute local path, or a URL
    _options: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def url(self, path: str = "") -> str:
        """Gives the URL of an object or folder, for messages and for other tools."""
        if not path:
            return self.uri
        check_path(path, self.uri)
        return self.uri + ("" if self.uri.endswith("/") else "/") + path

    def child(self, path: str) -> "Store":
        """Gives the store whose root is a folder of this one."""
        return Store(self.url(path), self._options)

    def list(self, prefix: str = "", pattern: str | None = None) -> list[FileInfo]:
        """Lists all objects below the folder `prefix`, at any depth, sorted by path; [] if there is no such folder.

        `pattern` is matched against the path from the root: `*` stays within one part, `**` is any number of parts.
        Files still being written are left out, unless the pattern ends with TEMPORARY_SUFFIX.
        """
        folder = prefix.removesuffix("/")
        found = self._attempt(f"list {self.url(folder)}", lambda backend: [*backend.walk(folder)])
        if pattern:
            matches = re.compile(glob_translate(pattern)).match
            found = [f for f in found if matches(f.path)]
        if not (pattern or "").endswith(TEMPORARY_SUFFIX):
            found = [f for f in found if not f.path.endswith(TEMPORARY_SUFFIX)]
        return sorted(found, key=attrgetter("path"))

    def pages(self, prefix: str = "") -> Iterator[Page]:
        """Yields what `list` gives without a pattern, page by page as it arrives: folders are listed at the same
        time."""
        return list_pages(prefix.removesuffix("/"), self._level, self.list)

    def _level(self, folder: str) -> Level:
        """Lists the files and folders directly in a folder."""
        files, folders = self._attempt(f"list {self.url(folder)}", lambda backend: backend.level(folder))
        return [f for f in files if not f.path.endswith(TEMPORARY_SUFFIX)], folders

    def info(self, path: str) -> FileInfo:
        """Gives the facts of one object: size in bytes, tag and time of change."""
        return self._object("find", path, lambda backend: backend.stat(path))

    def exists(self, path: str) -> bool:
        """Tells whether there is such an object (a folder is none)."""
        with suppress(NotFound):
            return bool(self.info(path))
        return False

    def read(self, path: str, size: int | None = None, sha256: str | None = None) -> bytes:
        """Reads an object's bytes. `size`: what a listing or a record says it has; without it, the store is asked
        first.

        A body of another length is read again, then refused, as some clients do not notice one that is cut short.
        `sha256`: the hash its bytes had earlier; if they still have it, nothing else has to be asked.
        """

        def once(backend: Backend) -> bytes:
            if sha256 is not None and has(data := backend.read(path, 0, WHOLE), sha256):
                return data
            expected = backend.stat(path).size if size is None else size
            return of_length(backend.read(path, 0, expected + 1), expected)  # one more, so that growth shows

        return self._object("read", path, once)

    def read_all(self, paths: Sequence[str]) -> Bodies:
        """Reads objects at the first try only, unchecked; None for those that do not arrive.

        For callers that can tell by a hash whether a body is whole, and then read the others one by one.
        """
        for path in paths:
            check_path(path, self.uri)
        return self._attempt(f"read {len(paths)} objects of {self.uri}", lambda backend: backend.read_all(paths))

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """Reads the bytes [start, stop) of an object, which must be that long."""
        length = max(0, stop - start)
        return self._object("read", path, lambda b: of_length(b.read(path, start, stop), length)) if length else b""

    def open_input(self, path: str, size: int | None = None) -> io.RawIOBase:
        """Opens a seekable file for pyarrow and others that need parts of a large object: each read is a checked
        request."""
        return RangedFile(lambda a, b: self.read_range(path, a, b), self.info(path).size if size is None else size)

    def write(self, path: str, data: bytes) -> None:
        """Creates or replaces an object in one step: nobody sees a part of it."""
        self._object("write", path, lambda backend: backend.replace(path, data))

    def write_checked(self, path: str, data: bytes) -> None:
        """Writes an object and reads it back: for what counts as soon as it exists."""
        self._object("write", path, lambda backend: write_checked(backend, path, data))

    def upload(self, path: str, local: Path) -> None:
        """Writes an object that is too large for memory from a file of this machine."""
        self._object("write", path, lambda backend: backend.upload(path, local))

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Creates an object if there is none: of all concurrent callers exactly one gets True.

        `data` is at most 5 MiB and holds something unique to the caller: when an answer gets lost, it is compared with
        what is stored. After Unavailable it isn't known whether the object was created.
        """
        if len(data) > MAX_CREATE_BYTES:
            raise StorageError(
                f"Cannot create {self.url(path)}: it has {len(data)} bytes, and {MAX_CREATE_BYTES} is the limit."
            )
        return self._object("create", path, lambda backend: backend.create(path, data))

    def delete(self, *paths: str) -> None:
        """Deletes objects; it is no error if they are already gone."""
        for path in paths:
            check_path(path, self.uri)  # before anything is deleted
        with ThreadPoolExecutor(DELETE_THREADS) as pool:
            list(pool.map(self._delete_one, paths))

    def check_readable(self) -> None:
        """Raises if the root can't be listed: no such bucket or local folder, no access, no answer."""
        self._attempt(f"list {self.uri}", lambda backend: backend.check(make=False), PREFLIGHT_TRIES)

    def check_writable(self) -> None:
        """Raises unless objects can be created once and deleted here. Makes a local folder, never a bucket."""
        self._attempt(f"write to {self.uri}", lambda backend: backend.check(make=True), PREFLIGHT_TRIES)
        probe = temporary_name()
        created = self.put_if_absent(probe, b"first")
        refused = not self.put_if_absent(probe, b"second")
        self.delete(probe)
        if not (created and refused):
            raise StorageError(
                f"Cannot publish to {self.uri}: the store ignores conditional writes (If-None-Match), so concurrent "
                "runs could overwrite each other's versions. Use a store that honours them."
            )

    def _delete_one(self, path: str) -> None:
        with suppress(NotFound):
            self._object("delete", path, lambda backend: backend.delete(path))

    def _object(self, action: str, path: str, call: Callable[[Backend], T]) -> T:
        """Calls the backend for one object, whose path is checked first."""
        check_path(path, self.uri)
        return self._attempt(f"{action} {self.url(path)}", call)

    def _attempt(self, what: str, call: Callable[[Backend], T], tries: int = TRIES) -> T:
        """Calls the backend, again after transient errors. Raises `from None`: the cause in a traceback could show
        secrets."""

        def note(error: Exception) -> None:
            log.info("trying again: %s", explained(error, what, self._options))

        try:
            return retry(lambda: call(self._backend()), tries, note)
        except StorageError:
            raise
        except Exception as error:
            log.debug("%s", redact(traceback.format_exc(), self._options))
            raise explained(error, what, self._options) from None

    def _backend(self) -> Backend:
        """Makes the backend at each call: fsspec keeps the connections, also across fork."""
        return Bucket(self.uri, self._options) if "://" in self.uri else Folder(self.uri)


def check_path(path: str, uri: str) -> None:
    """Raises StorageError for a path that could leave the root."""
    if re.search(r"[\\\x00-\x1f\x7f]", path) or any(part in ("", ".", "..") for part in path.split("/")):
        raise StorageError(f"{path!r} is no path below {uri}: write parts/joined/by/slashes, no '..', no backslash.")


def sha256_of(store: Store, file: FileInfo, block: int = 64 * 2**20) -> str:
    """Reads a file in blocks of bytes and gives its SHA-256 as hex digits."""
    sha = hashlib.sha256()
    for start in range(0, file.size, block):
        sha.update(store.read_range(file.path, start, min(file.size, start + block)))
    return sha.hexdigest()
