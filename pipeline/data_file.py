"""Data files: one Parquet file per shard, one row group per clip, rows in frame order; manifest rows in the footer."""

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.pairing import check_file
from pipeline.storage import NotFound, Store
from schemas.errors import IntegrityError
from schemas.manifest import DATA, MANIFEST, MEDIA_COLUMNS, ROWS_KEY
from schemas.outcome import DataFile

_KEY_COLUMNS = [name for name in DATA.names if name not in MEDIA_COLUMNS]


@dataclass(frozen=True)
class EncodedClip:
    """A clip that is ready to be stored."""

    clip_id: str
    rows: list[dict[str, Any]]  # of schemas.manifest.DATA, in frame order
    manifest: list[dict[str, Any]]  # of schemas.manifest.MANIFEST without shard, row_group, row


def path_of(shard_id: str) -> str:
    """Where a shard's data file lies in a dataset."""
    return f"data/{shard_id}.parquet"


def build(shard_id: str, clips: Sequence[EncodedClip]) -> bytes:
    """The bytes of a data file: the same clips give the same bytes."""
    sink = io.BytesIO()
    manifest: list[dict[str, Any]] = []
    # Media are compressed already; statistics of their bytes would only bloat the footer.
    writer = pq.ParquetWriter(
        sink, DATA, compression="none", use_dictionary=_KEY_COLUMNS, write_statistics=_KEY_COLUMNS, store_schema=True
    )
    with writer:
        for group, clip in enumerate(clips):
            writer.write_table(pa.Table.from_pylist(clip.rows, schema=DATA), row_group_size=len(clip.rows))
            place = {"shard": path_of(shard_id), "row_group": group}
            manifest += [{**row, **place, "row": i} for i, row in enumerate(clip.manifest)]
        rows = pa.Table.from_pylist(manifest, schema=MANIFEST)
        writer.add_key_value_metadata({ROWS_KEY.decode(): base64.b64encode(_to_ipc(rows)).decode()})
    return sink.getvalue()


def describe(shard_id: str, data: bytes) -> DataFile:
    """Path, size and hash of a data file's bytes."""
    return DataFile(path_of(shard_id), len(data), hashlib.sha256(data).hexdigest())


def stored(dataset: Store, shard_id: str) -> tuple[DataFile, pa.Table] | None:
    """A data file that a dataset holds already, with its manifest rows; None if there is none or it is damaged."""
    try:
        data = dataset.read(path_of(shard_id))
        rows = manifest_rows(pq.read_metadata(io.BytesIO(data)), path_of(shard_id))
        check_file(data, rows)
    except (NotFound, IntegrityError, ValueError, OSError, pa.ArrowException):
        return None
    return describe(shard_id, data), rows


def manifest_rows(metadata: pq.FileMetaData, name: str) -> pa.Table:
    """The manifest rows that a data file carries in its footer. Raises ValueError if it is none of ours."""
    raw = (metadata.metadata or {}).get(ROWS_KEY)
    if raw is None:
        raise ValueError(f"{name}: no Flowreel data file: no '{ROWS_KEY.decode()}' in its footer")
    return pa.ipc.open_stream(base64.b64decode(raw)).read_all()


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()
