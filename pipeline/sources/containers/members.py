"""The members of a source's containers: where each lies, in a table that is kept beside the dataset."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowreel.pipeline.parquet import read_parquet
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import StorageError

MEMBERS_PATH = "cache/members.parquet"
FORMAT = b"1"  # increase when the columns, or what is looked for in containers, change
MEMBERS = pa.schema(
    [
        ("container", pa.dictionary(pa.int32(), pa.string())),  # path of the file below the source's root
        ("state", pa.dictionary(pa.int32(), pa.string())),  # its size and tag: while they stay, so do its members
        ("name", pa.large_string()),  # path within the container; of a video's frames: their numbers
        ("start", pa.int64()),  # first byte; of a frame: its time stamp; of a cell: its row group
        ("stop", pa.int64()),  # behind the last byte; of a frame: the key frame to start from; of a cell: its row
        ("size", pa.int64()),  # bytes once it is read; of a frame or cell 0, as nobody knows before
        ("packed", pa.int64()),  # bytes as stored; of a frame: its video's rate in thousandths of frames a second
        ("check", pa.int64()),  # CRC-32, -1 for none
        ("method", pa.int32()),  # how it is stored, as zip numbers it; below 0: see `LINK` and the like
    ],
    metadata={b"flowreel.members": FORMAT},
)
STORED, DEFLATED, LINK, ENCRYPTED, FRAME, CELL = 0, 8, -1, -2, -3, -4
Member = tuple[str, int, int, int, int, int, int]  # a row from "name" on
OPENED = MEMBERS.insert(0, pa.field("path", pa.large_string())).insert(  # as the source's templates see them
    1,
    pa.field("column", pa.string()),  # of a cell
)


def rows_of(container: str, state: str, members: Sequence[Member]) -> pa.Table:
    """Builds the rows of one container's members."""
    columns: list[Any] = [*zip(*members, strict=True)] if members else [[] for _ in MEMBERS.names[2:]]
    same = [
        pa.DictionaryArray.from_arrays(np.zeros(len(members), np.int32), pa.array([value], pa.string()))
        for value in (container, state)
    ]
    fields = zip(columns, list(MEMBERS)[2:], strict=True)
    return pa.table([*same, *(pa.array(column, field.type) for column, field in fields)], schema=MEMBERS)


def by_container(members: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    """Yields path, state and rows of each container; those of one follow each other."""
    if not len(members):
        return
    members = members.unify_dictionaries().combine_chunks()
    column = members["container"].combine_chunks()
    states = members["state"].combine_chunks()
    edge = np.flatnonzero(np.diff(column.indices.to_numpy())) + 1
    for first, last in zip([0, *edge.tolist()], [*edge.tolist(), len(members)], strict=True):
        yield str(column[first].as_py()), str(states[first].as_py()), members.slice(first, last - first)


def load_members(store: Store) -> pa.Table:
    """Loads what is kept of containers beside a dataset; empty where there is nothing of this format, as it can be
    made again."""
    try:
        table = read_parquet(store.read(MEMBERS_PATH))
    except (StorageError, pa.ArrowException, OSError):  # pyarrow reports flipped bits as OSError
        return MEMBERS.empty_table()
    return table if table.schema.equals(MEMBERS, check_metadata=True) else MEMBERS.empty_table()


def save_members(store: Store, members: pa.Table) -> None:
    """Replaces what is kept of containers. Cells are left out: their columns are few and quick to read."""
    kept = members.filter(pc.not_equal(members["method"], CELL)).select(MEMBERS.names).cast(MEMBERS)
    if not len(kept):
        return
    sink = io.BytesIO()
    pq.write_table(kept, sink, compression="zstd")
    store.write(MEMBERS_PATH, sink.getvalue())
