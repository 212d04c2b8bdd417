"""A source whose files may lie in containers: read-only, its members behave as files of their own."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.sources.containers.archives import check_readable, member_bytes
from flowreel.pipeline.sources.containers.cells import cell_bytes
from flowreel.pipeline.sources.containers.members import CELL, FRAME, OPENED, save_members
from flowreel.pipeline.sources.containers.windows import WindowedFile
from flowreel.pipeline.storage import FileInfo, Store
from flowreel.pipeline.storage.store import Bodies, Page
from flowreel.schemas.errors import FlowreelError

READERS = 8  # requests of one call in flight
JOINED = 4 * 2**20  # bytes of neighbours that are read by one request
GAP = 2**17  # bytes between them that are read and thrown away, as another request would take longer
RUN = 256  # frames of a video, or rows of Parquet, that one thread decodes one after the other

Row = Mapping[str, Any]
Rows = list[Row | None]  # named outside of the class, whose `list` is another


@dataclass(frozen=True)
class ContainerStore(Store):
    """The files below a root, and the members of containers among them.

    A member's path goes through its container: ``city.tar/labels/000017.png``; a cell's is the one that the templates
    give it. What lies in no container is read as from any store.
    """

    members: pa.Table = field(default_factory=OPENED.empty_table, compare=False, repr=False)  # columns OPENED

    @property
    def base(self) -> Store:
        """Gives the files as they lie there."""
        return Store(self.uri, self._options)

    def list(self, prefix: str = "", pattern: str | None = None) -> Page:
        """Lists files and members; those that match a pattern, without members. See `Store.list`."""
        if pattern:
            return self.base.list(prefix, pattern)
        found = [info for page in self.pages(prefix) for info in page]
        return sorted(found, key=attrgetter("path"))

    def pages(self, prefix: str = "") -> Iterator[Page]:
        """Yields what `list` gives, page by page."""
        folder = prefix.removesuffix("/")
        taken = set(pc.unique(self.members["container"].cast(pa.string())).to_pylist())
        for page in self.base.pages(folder):
            yield [info for info in page if info.path not in taken]
        rows = self.members.filter(pc.starts_with(self.members["path"], f"{folder}/")) if folder else self.members
        for batch in rows.select(["path", "size", "state", "start"]).to_batches(max_chunksize=50_000):
            yield [
                FileInfo(row["path"], row["size"], f"{row['state']}/{row['start']}", 0.0) for row in batch.to_pylist()
            ]

    def info(self, path: str) -> FileInfo:
        """Gives the facts of one file or member."""
        (row,) = self.rows([path])
        if row is None:
            return self.base.info(path)
        return FileInfo(path, row["size"], f"{row['state']}/{row['start']}", 0.0)

    def read(self, path: str, size: int | None = None, sha256: str | None = None) -> bytes:
        """Reads a file or member whole. Raises NotFound, or SourceError for a damaged container."""
        (row,) = self.rows([path])
        if row is None:
            return self.base.read(path, size, sha256)
        return next(self.stream([row]))[1]

    def read_all(self, paths: Sequence[str]) -> Bodies:
        """Reads files and members: neighbours by one request; None for those that do not arrive."""
        found: dict[str, bytes | None] = {}
        rows = {row["path"]: row for row in self.rows(paths) if row is not None}
        loose = [path for path in paths if path not in rows]
        if loose:
            found.update(zip(loose, self.base.read_all(loose), strict=True))

        def some(group: Sequence[Row]) -> None:
            try:
                found.update((row["path"], data) for row, data in self.stream(group))
            except FlowreelError:  # who reads them one by one gets the sentence
                return

        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(some, together(list(rows.values()))))
        return [found.get(path) for path in paths]

    def rows(self, paths: Sequence[str]) -> Rows:
        """Finds the members of these paths; None for files that are in no container."""
        found = pc.index_in(pa.array(paths, pa.large_string()), value_set=self.members["path"]).to_pylist()
        known = [row for row in found if row is not None]
        if not known:
            return [None] * len(paths)
        rows = dict(zip(known, self.members.take(pa.array(known)).to_pylist(), strict=True))
        return [None if row is None else rows[row] for row in found]

    def stream(self, group: Sequence[Row]) -> Iterator[tuple[Row, bytes]]:
        """Reads members of one container, those of an archive by one request: yields each with its bytes, in the order
        that they are stored in.

        Raises SourceError for damaged ones, naming container and member.
        """
        first = group[0]
        path, size = first["container"], int(first["state"].partition("|")[0])
        url = self.base.url(path)
        if first["method"] == FRAME:
            from flowreel.pipeline.sources.containers.video import frames_of  # PyAV: for those who have videos only

            yield from frames_of(WindowedFile(self.base, path, size), group, url)
        elif first["method"] == CELL:
            yield from cell_bytes(self.base, path, size, group)
        else:
            for row in group:
                check_readable(row, f"{url}: member '{row['name']}'")
            start, stop = min(row["start"] for row in group), max(row["stop"] for row in group)
            data = self.base.read_range(path, start, stop)
            zipped = path.lower().endswith(".zip")
            for row in group:
                part = data[row["start"] - start : row["stop"] - start]
                yield row, member_bytes(row, part, zipped=zipped, url=f"{url}: member '{row['name']}'")


def keep_members(cache: Store, store: Store | None) -> None:
    """Keeps beside a dataset or a run where the members of a source's containers are, if it has any."""
    if isinstance(store, ContainerStore):
        save_members(cache, store.members)


def together(rows: Sequence[Row]) -> list[list[Row]]:
    """Groups members that are read at once: neighbours in an archive, frames or cells that follow each other."""
    groups: list[list[Row]] = []
    for row in sorted(rows, key=itemgetter("container", "column", "start", "stop")):
        if groups and _joins(groups[-1], row):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _joins(group: Sequence[Row], row: Row) -> bool:
    """Tells whether a member is read together with those of a group, which lie before it."""
    first, last = group[0], group[-1]
    if (row["container"], row["column"]) != (first["container"], first["column"]):
        return False
    if row["method"] == FRAME:
        return len(group) < RUN or row["stop"] == last["stop"]  # groups begin with a key frame
    if row["method"] == CELL:
        return bool(row["start"] == first["start"])
    return bool(row["start"] - last["stop"] <= GAP and row["stop"] - first["start"] <= JOINED)
