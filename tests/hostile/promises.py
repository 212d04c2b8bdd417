"""What a dataset promises of its files, and how to make it promise what lies there now."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.dataset.versions import RECORD, SHARDS_FILE
from flowreel.schemas.outcome import DataFile


def named_files(version: Path) -> set[str]:
    """The data files that a version names, as far as that can be read."""
    try:
        return set(pq.read_table(version / SHARDS_FILE)["path"].to_pylist())
    except (pa.ArrowException, OSError, KeyError):
        return set()


def equal_rows(a: bytes, b: bytes) -> bool:
    """Whether two Parquet files hold the same rows."""
    try:
        one, other = (pq.ParquetFile(pa.BufferReader(data)) for data in (a, b))
    except pa.ArrowException:
        return False
    if one.num_row_groups != other.num_row_groups or not one.schema_arrow.equals(other.schema_arrow):
        return False
    return all(one.read_row_group(g).equals(other.read_row_group(g)) for g in range(one.num_row_groups))


def facts(file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def promise(folder: Path, data_bytes: int | None = None) -> None:
    """Makes a version.json promise the files that lie beside it; ``data_bytes``: of the data files too."""
    place = folder / RECORD
    tree = json.loads(place.read_text())
    tree["files"] = {name: facts(folder / name) for name in tree["files"]}
    if data_bytes is not None:
        tree["counts"]["bytes"] = data_bytes
    place.write_text(json.dumps(tree))


def promise_data(root: Path) -> None:
    """Makes all versions promise the data files that are there."""
    for folder in sorted((root / "versions").iterdir()):
        shards = pq.read_table(folder / SHARDS_FILE)
        rows = [asdict(DataFile(path, **facts(root / path))) for path in shards["path"].to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, schema=shards.schema), folder / SHARDS_FILE)
        promise(folder, sum(row["size"] for row in rows))
