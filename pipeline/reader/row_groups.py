"""Random access to published clips: the wanted columns of one row group in one ranged read."""

import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.dataset.file_hash import check_hash
from flowreel.pipeline.dataset.row_group import check_data_columns, check_group, check_rows
from flowreel.pipeline.dataset.versions import SHARDS_FILE, Version
from flowreel.pipeline.storage import NotFound, Store
from flowreel.pipeline.storage.ranged_file import RangedFile
from flowreel.schemas.errors import IntegrityError, StorageError

KEPT_FOOTERS = 512  # some 20 KB each
HASH_BYTES = 32  # SHA-256 behind what is cached
Span = tuple[int, int]  # bytes [start, stop) of a data file


@dataclass
class _Verified:
    """The data files whose bytes this process has found to be the published ones. Threads may share it."""

    locks: dict[str, threading.Lock] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def once(self, path: str, check: Callable[[], None]) -> None:
        """Calls ``check`` unless it has returned before for this path; another thread waits meanwhile."""
        if path in self.done:
            return
        with self.lock:
            mine = self.locks.setdefault(path, threading.Lock())
        with mine:
            if path not in self.done:
                check()
                self.done.add(path)

    def __reduce__(self) -> tuple[type["_Verified"], tuple[()]]:
        return _Verified, ()


@dataclass
class _Footers:
    """A cache of the newest footers, which threads may share."""

    kept: "OrderedDict[str, pq.FileMetaData]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, path: str) -> pq.FileMetaData | None:
        """Gives a cached footer, None if it is not there."""
        with self.lock:
            if path in self.kept:
                self.kept.move_to_end(path)
            return self.kept.get(path)

    def keep(self, path: str, footer: pq.FileMetaData) -> None:
        """Caches a footer, and drops the oldest one beyond KEPT_FOOTERS."""
        with self.lock:
            self.kept[path] = footer
            if len(self.kept) > KEPT_FOOTERS:
                self.kept.popitem(last=False)

    def __reduce__(self) -> tuple[type["_Footers"], tuple[()]]:
        return _Footers, ()  # a lock does not travel, and another process reads what it needs


@dataclass(frozen=True)
class RowGroups:
    """Row groups of a version's data files. Threads may share it, processes may send it to each other.

    ``cache`` keeps what was read, for later epochs and runs; nothing in it goes stale, because data files never change.
    It grows to the size of what was read. ``verify``: each file is read whole and compared with its published hash
    before a process hands on anything of it.
    """

    dataset: Store
    files: dict[str, tuple[int, str]]  # bytes, which saves a request per file, and SHA-256 of each data file
    cache: Store | None = None
    verify: bool = False
    _verified: _Verified = field(default_factory=_Verified, repr=False, compare=False)
    _footers: _Footers = field(default_factory=_Footers, repr=False, compare=False)

    @classmethod
    def of(cls, version: Version, cache: Store | None = None, verify: bool = False) -> "RowGroups":
        """Makes the row groups of a version's data files."""
        shards = version.table(SHARDS_FILE)
        size_and_hash = zip(shards["size"].to_pylist(), shards["sha256"].to_pylist(), strict=True)
        files = dict(zip(shards["path"].to_pylist(), size_and_hash, strict=True))
        return cls(version.dataset, files, cache, verify)

    def read(self, path: str, group: int, columns: list[str]) -> pa.Table:
        """Reads the rows of one clip. Raises IntegrityError for damaged files, StorageError if the store keeps
        failing."""
        url = self.dataset.url(path)
        where = f"{url}, row group {group}"
        if path not in self.files:
            raise IntegrityError(f"{url}: named by the manifest, but not by {SHARDS_FILE}")
        try:
            footer = self._footer(path)
            check_group(footer, group, url)
            start, stop = _span(footer.row_group(group), columns)
            data = self._bytes(path, (start, stop))
            source = RangedFile(lambda a, b: data[a - start : b - start], self.files[path][0])
            rows = pq.ParquetFile(source, metadata=footer).read_row_group(group, columns, use_threads=False)
        except (IntegrityError, StorageError):
            raise
        except (pa.ArrowException, ValueError, IndexError, OSError, OverflowError, MemoryError) as error:
            raise IntegrityError(f"{where}: damaged: {error}; `flowreel verify` lists all damage") from None
        check_rows(rows, where)
        return rows

    def _footer(self, path: str) -> pq.FileMetaData:
        footer = self._footers.find(path)
        if footer is None:
            footer = pq.read_metadata(_Tail(self, path).open())
            check_data_columns(footer.schema.to_arrow_schema(), self.dataset.url(path))
            self._footers.keep(path, footer)
        return footer

    def _bytes(self, path: str, span: Span) -> bytes:
        """Reads a range of a data file, from the cache if it is there whole."""
        if self.cache is None:
            return self._stored(path, span)
        # What was verified before it was cached is kept apart from what was not.
        name = _cache_name(f"{path} {self.files[path][1]}" if self.verify else path, span)
        try:
            kept = self.cache.read(name)
        except NotFound:
            kept = b""
        data, digest = kept[:-HASH_BYTES], kept[-HASH_BYTES:]
        if len(data) != span[1] - span[0] or hashlib.sha256(data).digest() != digest:
            data = self._stored(path, span)
            self.cache.write(name, data + hashlib.sha256(data).digest())
        return data

    def _stored(self, path: str, span: Span) -> bytes:
        """Reads a range of a data file from the dataset. Raises IntegrityError if the file is not the published one,
        where that is checked."""
        if self.verify:
            self._verified.once(path, lambda: check_hash(self.dataset, path, *self.files[path]))
        return self.dataset.read_range(path, *span)


@dataclass(frozen=True)
class _Tail:
    """A data file's last bytes, which Parquet readers take for the file: mostly one request."""

    groups: RowGroups
    path: str

    def open(self) -> RangedFile:
        """Reads the last bytes, and opens a file that reads others only if it has to."""
        size, _ = self.groups.files[self.path]
        start = max(0, size - 64 * 2**10)
        tail = self.groups._bytes(self.path, (start, size))

        def part(a: int, b: int) -> bytes:
            return tail[a - start : b - start] if a >= start else self.groups._bytes(self.path, (a, b))

        return RangedFile(part, size)


def _span(group: pq.RowGroupMetaData, columns: list[str]) -> Span:
    """Gives the range from the first to the last byte of some columns, which lie side by side."""
    start, stop = 2**63, 0
    for i in range(group.num_columns):
        chunk = group.column(i)
        if chunk.path_in_schema.split(".")[0] in columns:
            first = min(x for x in (chunk.dictionary_page_offset, chunk.data_page_offset) if x is not None)
            start, stop = min(start, first), max(stop, first + chunk.total_compressed_size)
    return start, stop


def _cache_name(path: str, span: Span) -> str:
    digest = hashlib.sha256(f"{path} {span[0]} {span[1]}".encode()).digest()
    name = base64.b32encode(digest[:20]).decode().lower()
    return f"{name[:2]}/{name}"
