"""Reads clips from data files, checked: columns as they are published, keys of one clip, media where they must be."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowreel.pipeline.dataset.checked_table import STEP, check_columns, check_values, raise_at, reading
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.manifest import MEDIA_COLUMNS, data_schema
from flowreel.schemas.rules import DATA_RULES

MUST = ("image", "label")  # media that every frame has
_OF_CLIP = ("clip_id", "sequence_id", "variant", "split")  # the same in all rows of a clip


def read_row_group(dataset: Store, path: str, group: int, columns: list[str] | None = None) -> pa.Table:
    """Reads the rows of one clip of a data file. Raises IntegrityError for a damaged file, or a row group that it does
    not have, StorageError if the store keeps failing."""
    url = dataset.url(path)
    with reading(url), dataset.open_input(path) as source:
        file = pq.ParquetFile(source)
        check_data_columns(file.schema_arrow, url)
        check_group(file.metadata, group, url)
        rows = file.read_row_group(group, columns)
    check_rows(rows, f"{url}, row group {group}")
    return rows


def check_data_columns(schema: pa.Schema, url: str) -> None:
    """Raises IntegrityError for a file without the columns of data files."""
    check_columns(schema, url, data_schema(schema.names), DATA_RULES)


def check_group(footer: pq.FileMetaData, group: int, url: str) -> None:
    """Raises IntegrityError for a row group that a file does not have."""
    if not 0 <= group < footer.num_row_groups:
        raise IntegrityError(
            f"{url}: row group {group} is named, but the file has {footer.num_row_groups}, counted from 0; {STEP}"
        )


def check_rows(rows: pa.Table, where: str) -> None:
    """Checks the columns that were read of a clip. Raises IntegrityError for the first value that must not be."""
    if not len(rows):
        raise IntegrityError(f"{where}: holds no rows; {STEP}")
    check_values(rows, where, DATA_RULES)
    for name in MEDIA_COLUMNS:
        if name in rows.column_names:
            _check_media(rows[name], f"{where}: column {name}", must=name in MUST)
    for name in _OF_CLIP:
        if name in rows.column_names and len(pc.unique(rows[name])) > 1:
            values = rows[name].to_pylist()
            row = next(i for i, value in enumerate(values) if value != values[0])
            raise_at(f"{where}: column {name}", row, values[row], f"{values[0]!r}, as in the clip's first row")


def _check_media(column: pa.ChunkedArray, where: str, *, must: bool) -> None:
    """Checks that cells hold bytes: all of them, or where one is given."""
    missing = pc.is_null(pc.struct_field(column, "bytes"))
    if not must:
        missing = pc.and_(missing, pc.is_valid(column))
    if pc.any(missing).as_py():
        raise_at(where, missing.to_pylist().index(True), None, "a medium's bytes")
