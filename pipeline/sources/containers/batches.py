"""Reads many files of a source: those that lie in one container together, all others one by one."""

from collections import defaultdict
from collections.abc import Callable, Generator, Sequence

import pyarrow as pa

from flowreel.pipeline.concurrency import ByteBudget
from flowreel.pipeline.sources.containers.store import ContainerStore, Row, together
from flowreel.pipeline.storage import DanglingLink, Store

Read = Generator[tuple[int, bytes | DanglingLink], None, None]
READING = ByteBudget(256 * 2**20)  # files that are being read and looked into
Batch = Callable[[], Read]  # rows of the files, their bytes or what they are


def batches(store: Store, files: pa.Table, rows: Sequence[int]) -> list[Batch]:
    """Divides files into what one thread reads: each batch yields ``rows`` of ``files`` (columns path, size) with
    their bytes.

    A batch holds no more in memory than one request and one frame. Raises, when it is read, as `Store.read` does.
    """
    if not isinstance(store, ContainerStore):
        return [_one(store, files, row) for row in rows]
    paths = files["path"].take(pa.array(rows)).to_pylist()
    of_path = defaultdict[str, list[int]](list)  # one file may be a label and an instance map
    for row, path in zip(rows, paths, strict=True):
        of_path[path].append(row)
    found = store.rows(list(of_path))
    members = [member for member in found if member is not None]
    loose = [row for path, member in zip(of_path, found, strict=True) if member is None for row in of_path[path]]
    return [
        *(_one(store, files, row) for row in loose),
        *(_group(store, group, of_path) for group in together(members)),
    ]


def _one(store: Store, files: pa.Table, row: int) -> Batch:
    def read() -> Read:
        size = files["size"][row].as_py()
        with READING.hold(size):
            try:
                yield row, store.read(files["path"][row].as_py(), size=size)
            except DanglingLink as error:
                yield row, error

    return read


def _group(store: ContainerStore, group: Sequence[Row], rows: dict[str, list[int]]) -> Batch:
    def read() -> Read:
        for member, data in store.stream(group):
            yield from ((row, data) for row in rows[member["path"]])

    return read
