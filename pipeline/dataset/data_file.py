"""Data files: one Parquet file per shard, one row group per clip, rows in frame order.

The footer holds the manifest rows, and what the clips were rendered from.
"""

import base64
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.dataset import layout
from flowreel.pipeline.dataset.checked_table import check_columns
from flowreel.pipeline.dataset.file_check import check_file
from flowreel.pipeline.storage import NotFound, Store
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.lineage import SOURCES, SOURCES_KEY
from flowreel.schemas.manifest import DATA, MANIFEST, MEDIA_COLUMNS, ROWS_KEY, completed, data_schema
from flowreel.schemas.outcome import DataFile
from flowreel.schemas.rules import MANIFEST_RULES, SOURCES_RULES

_KEY_COLUMNS = [name for name in DATA.names if name not in MEDIA_COLUMNS]
_WITHOUT_PLACE = pa.schema([field for field in MANIFEST if field.name not in ("shard", "row_group", "row")])


@dataclass(frozen=True)
class EncodedClip:
    """A clip that is ready to be stored."""

    clip_id: str
    rows: list[dict[str, Any]]  # of flowreel.schemas.manifest.DATA, in frame order
    manifest: list[dict[str, Any]]  # of flowreel.schemas.manifest.MANIFEST without shard, row_group, row
    sources: dict[str, Any]  # of flowreel.schemas.lineage.SOURCES


def path_of(shard_id: str) -> str:
    """Gives the path of a shard's data file in a dataset."""
    return layout.DATA.format(shard=shard_id)


def build(shard_id: str, clips: Sequence[EncodedClip]) -> bytes:
    """Builds a data file's bytes: the same clips give the same bytes."""
    schema = data_schema(clips[0].rows[0] if clips else ())
    rows = (pa.Table.from_pylist(clip.rows, schema=schema) for clip in clips)
    manifest = [pa.Table.from_pylist(clip.manifest, schema=_WITHOUT_PLACE) for clip in clips]
    sources = pa.Table.from_pylist([clip.sources for clip in clips], schema=SOURCES)
    return pack(shard_id, rows, manifest, sources, schema)


def pack(
    shard_id: str, rows: Iterable[pa.Table], manifest: Sequence[pa.Table], sources: pa.Table, schema: pa.Schema = DATA
) -> bytes:
    """Builds a data file from clips' tables.

    ``rows`` and ``manifest`` have one table per clip, ``sources`` a row per clip, ``schema`` is that of the rows, as
    `flowreel.schemas.manifest.data_schema` makes it. The place of each row in this file replaces what ``manifest`` says
    of it.
    """
    sink = io.BytesIO()
    # Media are compressed already; statistics of their bytes would only bloat the footer.
    writer = pq.ParquetWriter(
        sink, schema, compression="none", use_dictionary=_KEY_COLUMNS, write_statistics=_KEY_COLUMNS, store_schema=True
    )
    with writer:
        for table in rows:
            writer.write_table(table, row_group_size=len(table))
        rows_in_file = pa.concat_tables([_with_place(table, shard_id, group) for group, table in enumerate(manifest)])
        tables = {ROWS_KEY: rows_in_file.combine_chunks(), SOURCES_KEY: sources}
        writer.add_key_value_metadata({k.decode(): base64.b64encode(_to_ipc(t)).decode() for k, t in tables.items()})
    return sink.getvalue()


def _with_place(manifest: pa.Table, shard_id: str, group: int) -> pa.Table:
    """Gives a clip's manifest rows, in frame order, with their place in a file."""
    count = len(manifest)
    place = {
        "shard": pa.repeat(path_of(shard_id), count),
        "row_group": pa.repeat(pa.scalar(group, pa.int32()), count),
        "row": pa.array(range(count), pa.int32()),
    }
    return pa.table([place[name] if name in place else manifest[name] for name in MANIFEST.names], schema=MANIFEST)


def describe(shard_id: str, data: bytes) -> DataFile:
    """Gives the path, size in bytes and SHA-256 of a data file."""
    return DataFile(path_of(shard_id), len(data), hashlib.sha256(data).hexdigest())


def stored(dataset: Store, shard_id: str) -> tuple[DataFile, pa.Table] | None:
    """Finds a data file that a dataset already holds, with its manifest rows; None if there is none or it is
    damaged."""
    try:
        data = dataset.read(path_of(shard_id))
        rows = manifest_rows(pq.read_metadata(io.BytesIO(data)), path_of(shard_id))
        check_file(data, rows)
    except (NotFound, IntegrityError, ValueError, KeyError, OSError, pa.ArrowException):
        return None
    return describe(shard_id, data), rows


def manifest_rows(metadata: pq.FileMetaData, name: str) -> pa.Table:
    """Reads the manifest rows in a data file's footer. Raises ValueError if it is not a Flowreel data file,
    IntegrityError for rows with other columns."""
    found = _footer_table(metadata, ROWS_KEY, name)
    check_columns(found.schema, f"{name}: footer", MANIFEST, MANIFEST_RULES)
    return completed(found)


def clip_sources(metadata: pq.FileMetaData, name: str) -> pa.Table:
    """Reads from a data file's footer what its clips were rendered from.

    Raises ValueError if it is not a Flowreel data file, IntegrityError for other columns.
    """
    found = _footer_table(metadata, SOURCES_KEY, name)
    check_columns(found.schema, f"{name}: footer", SOURCES, SOURCES_RULES)
    missing = [name for name in SOURCES.names if name not in found.schema.names]  # by an older release
    for column in missing:
        found = found.append_column(SOURCES.field(column), pa.nulls(len(found), SOURCES.field(column).type))
    return found


def _footer_table(metadata: pq.FileMetaData, key: bytes, name: str) -> pa.Table:
    """Decodes a table in a data file's footer. Raises ValueError if there is none."""
    raw = (metadata.metadata or {}).get(key)
    if raw is None:
        raise ValueError(f"{name}: not a Flowreel data file: its footer has no '{key.decode()}'")
    # Footers are read in many threads; those that Arrow starts for each column take longer than the column.
    alone = pa.ipc.IpcReadOptions(use_threads=False)
    return pa.ipc.open_stream(base64.b64decode(raw), options=alone).read_all()


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()
