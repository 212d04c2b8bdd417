"""Image columns of Parquet files as files: one per row and column, named by the source's templates."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.sources.containers.members import CELL, Member
from flowreel.pipeline.storage import FileInfo, Store
from flowreel.schemas.containers import ColumnsSpec
from flowreel.schemas.errors import SourceError, StorageError

ROWS = 64  # decoded at a time
PARTS = 2**20  # bytes that are asked for at a time


def parquet_cells(store: Store, info: FileInfo, columns: ColumnsSpec) -> Iterator[Member]:
    """Yields one member per row, named ``sequence/frame``; only the columns that name them are read.

    Raises SourceError for columns that are missing, of another type or empty somewhere.
    """
    url = store.url(info.path)
    try:
        with store.open_input(info.path, info.size) as data:
            file = pq.ParquetFile(data)
            wanted = [name for name in (columns.sequence, columns.frame) if name]
            _check_columns(file.schema_arrow, columns, url)
            row = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                table = file.read_row_group(group, columns=wanted) if wanted else None
                sequences = _names(table, columns.sequence, url) if table and columns.sequence else None
                frames = _names(table, columns.frame, url) if table and columns.frame else None
                for i in range(count):
                    sequence = sequences[i] if sequences else PurePosixPath(info.path).stem
                    frame = frames[i] if frames else f"{row:06d}"
                    if "/" in frame:
                        raise SourceError(
                            f"{url}: column '{columns.frame}' is '{frame}', and a frame's name has no slash"
                        )
                    yield f"{sequence}/{frame}", group, i, 0, 0, -1, CELL
                    row += 1
    except StorageError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{url}: no Parquet file, or a damaged or truncated one: {error}") from None


def _check_columns(schema: pa.Schema, columns: ColumnsSpec, url: str) -> None:
    for role in ("sequence", "frame", "label", "instance", "image"):
        name = getattr(columns, role)
        if name is None:
            continue
        if name not in schema.names:
            there = ", ".join(schema.names)
            raise SourceError(f"{url}: it has no column '{name}' (source.columns.{role}); its columns are: {there}")
        kind = schema.field(name).type
        names = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
        names |= pa.types.is_dictionary(kind)
        fits = names if role in ("sequence", "frame") else _is_bytes(kind)
        if not fits:
            wanted = "text or integers" if role in ("sequence", "frame") else "binary or struct<bytes, path>"
            raise SourceError(f"{url}: column '{name}' (source.columns.{role}) is {kind}, {wanted} are needed")


def _is_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _names(table: pa.Table, column: str, url: str) -> list[str]:
    """Gives a column as parts of paths: numbers with six digits at least, so that files sort as they count."""
    values = table[column].to_pylist()
    names = [f"{value:06d}" if isinstance(value, int) else value for value in values]
    for row, name in enumerate(names):
        if not name or any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name:
            raise SourceError(f"{url}: column '{column}' is {name!r} in row {row}, which names nothing; fill it in")
    return names


def cell_bytes(
    store: Store, path: str, size: int, members: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Reads cells of one column, in order of their rows: yields member and bytes. Of a row group, only that column's
    bytes are read, and they are decoded a few rows at a time.

    Raises SourceError for cells without bytes, and damaged files.
    """
    url, column = store.url(path), members[0]["column"]
    wanted = sorted(members, key=lambda member: (member["start"], member["stop"]))
    try:
        with store.open_input(path, size) as data:
            file = pq.ParquetFile(data, buffer_size=PARTS)
            place = 0
            while place < len(wanted):
                group, first = wanted[place]["start"], 0
                for batch in file.iter_batches(ROWS, row_groups=[group], columns=[column], use_threads=False):
                    cells = batch.column(0)
                    while place < len(wanted) and wanted[place]["start"] == group:
                        row = wanted[place]["stop"] - first
                        if row >= len(cells):
                            break
                        yield (
                            wanted[place],
                            _cell(cells[row], f"{url}: row {row + first} of row group {group}, {column}"),
                        )
                        place += 1
                    first += len(cells)
                    if place == len(wanted) or wanted[place]["start"] != group:
                        break
                else:
                    raise SourceError(f"{url}: row group {group} has fewer rows than when it was listed")
    except StorageError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{url}: damaged: {error}; make or copy it again") from None


def _cell(cell: pa.Scalar, url: str) -> bytes:
    """Gives the bytes of an image cell. Raises SourceError if there are none."""
    value = cell.as_py()
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            raise SourceError(
                f"{url}: no bytes, only the path '{value['path']}'; store them in the file: datasets' cast_column and"
                " to_parquet, or embed_external_files of push_to_hub"
            )
        value = value.get("bytes")
    if value is None:
        raise SourceError(f"{url}: empty; every frame needs its map")
    return bytes(value)
