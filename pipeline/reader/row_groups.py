"""Random access to published clips: the wanted columns of one row group in one ranged read."""

import base64
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.dataset.versions import SHARDS_FILE, Version
from flowreel.pipeline.storage import NotFound, Store
from flowreel.pipeline.storage.ranged_file import RangedFile
from flowreel.schemas.errors import IntegrityError

KEPT_FOOTERS = 512  # some 20 KB each
Span = tuple[int, int]  # bytes [start, stop) of a data file


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
    It grows to the size of what was read.
    """

    dataset: Store
    sizes: dict[str, int]  # bytes of each data file: saves a request per file
    cache: Store | None = None
    _footers: _Footers = field(default_factory=_Footers, repr=False, compare=False)

    @classmethod
    def of(cls, version: Version, cache: Store | None = None) -> "RowGroups":
        """Makes the row groups of a version's data files."""
        shards = version.table(SHARDS_FILE, ["path", "size"])
        sizes = dict(zip(shards["path"].to_pylist(), shards["size"].to_pylist(), strict=True))
        return cls(version.dataset, sizes, cache)

    def read(self, path: str, group: int, columns: list[str]) -> pa.Table:
        """Reads the rows of one clip. Raises IntegrityError for damaged files, StorageError if the store keeps
        failing."""
        try:
            footer = self._footer(path)
            start, stop = _span(footer.row_group(group), columns)
            data = self._bytes(path, (start, stop))
            source = RangedFile(lambda a, b: data[a - start : b - start], self.sizes[path])
            return pq.ParquetFile(source, metadata=footer).read_row_group(group, columns, use_threads=False)
        except (pa.ArrowException, ValueError, IndexError, OSError) as error:
            if isinstance(error, NotFound):
                raise
            raise IntegrityError(
                f"{self.dataset.url(path)}, row group {group}: damaged: {error}; `flowreel verify` lists all damage"
            ) from None

    def _footer(self, path: str) -> pq.FileMetaData:
        footer = self._footers.find(path)
        if footer is None:
            footer = pq.read_metadata(_Tail(self, path).open())
            self._footers.keep(path, footer)
        return footer

    def _bytes(self, path: str, span: Span) -> bytes:
        if self.cache is None:
            return self.dataset.read_range(path, *span)
        name = _cache_name(path, span)
        try:
            kept = self.cache.read(name)
        except NotFound:
            kept = b""
        if len(kept) != span[1] - span[0]:
            kept = self.dataset.read_range(path, *span)
            self.cache.write(name, kept)
        return kept


@dataclass(frozen=True)
class _Tail:
    """A data file's last bytes, which Parquet readers take for the file: mostly one request."""

    groups: RowGroups
    path: str

    def open(self) -> RangedFile:
        """Reads the last bytes, and opens a file that reads others only if it has to."""
        size = self.groups.sizes[self.path]
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
