"""What is known of source files, kept beside the dataset: an unchanged file is only listed again, never read."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.codec import decode_ids, decode_image
from pipeline.storage import FileInfo, Store
from schemas.errors import StorageError

Role = Literal["label", "instance", "image", "other"]
INDEX_PATH = "cache/sources.parquet"
FORMAT = b"1"  # raise when `inspect` learns to see something new
_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("digest", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("ids", pa.list_(pa.int32())),
        ("counts", pa.list_(pa.int64())),
        ("error", pa.string()),
    ],
    metadata={b"flowreel.index": FORMAT},
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one file's bytes say. ``error`` is empty for a good file; ids and counts are of label maps only."""

    digest: str  # SHA-256 of the bytes
    width: int = 0
    height: int = 0
    ids: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()  # pixels per id
    error: str = ""


def inspect(data: bytes, role: Role) -> FileFacts:
    """Fingerprint, and the full decode: header, mode, size, completeness, and of label maps the ids present."""
    digest = hashlib.sha256(data).hexdigest()
    if role == "other":
        return FileFacts(digest)
    try:
        if role == "image":
            height, width, _ = decode_image(data).shape
            return FileFacts(digest, width, height)
        ids_HW = decode_ids(data)
    except ValueError as error:
        return FileFacts(digest, error=str(error))
    height, width = ids_HW.shape
    if role == "instance":
        return FileFacts(digest, width, height)
    counts = np.bincount(ids_HW.ravel())
    present = np.flatnonzero(counts)
    return FileFacts(digest, width, height, tuple(present.tolist()), tuple(counts[present].tolist()))


def key_of(url: str, info: FileInfo, role: Role) -> str:
    """A file is unchanged while this is: its place, size and etag or time of change."""
    return f"{role}|{url}|{info.size}|{info.tag}"


def load_index(store: Store) -> dict[str, FileFacts]:
    """All facts kept beside a dataset; empty where there are none, or of another format: they can be found again."""
    try:
        table = pq.read_table(io.BytesIO(store.read(INDEX_PATH)))
    except (StorageError, pa.ArrowException, OSError):  # pyarrow tells of flipped bits by OSError
        return {}
    if (table.schema.metadata or {}).get(b"flowreel.index") != FORMAT:
        return {}
    return {
        row["key"]: FileFacts(
            row["digest"], row["width"], row["height"], tuple(row["ids"]), tuple(row["counts"]), row["error"]
        )
        for row in table.to_pylist()
    }


def forget_index(store: Store) -> None:
    """After a file turned out to be another than the index says (same size, same time): all are read again."""
    store.delete(INDEX_PATH)


def save_index(store: Store, facts: Iterable[tuple[str, FileFacts]]) -> None:
    """Replaces what is kept. The caller leaves out files that are gone, so that it does not grow for ever."""
    rows = [
        {"key": k, "digest": f.digest, "width": f.width, "height": f.height,
         "ids": f.ids, "counts": f.counts, "error": f.error}
        for k, f in facts
    ]  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), sink, compression="zstd")
    store.write(INDEX_PATH, sink.getvalue())
