"""Writes and reads ``lineage.parquet``: from every published clip to what it was rendered from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flowreel.pipeline.dataset.checked_table import check_columns, check_values, reading
from flowreel.pipeline.dataset.manifest_writer import GROUP_ROWS, RowGroups
from flowreel.pipeline.dataset.versions import LINEAGE_FILE, Version
from flowreel.schemas.lineage import LINEAGE
from flowreel.schemas.rules import LINEAGE_RULES


class LineageWriter:
    """Writes ``lineage.parquet``: a row per clip, in manifest order. The same clips give the same bytes, however they
    are divided."""

    def __init__(self, place: Path) -> None:
        self._groups, self._writer = RowGroups(), pq.ParquetWriter(place, LINEAGE, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        with self._writer:
            if error is None:
                self._write(self._groups.rest())

    def write(self, clips: pa.Table) -> None:
        """Writes the next clips: rows of LINEAGE. Raises OSError if the disk is full."""
        self._write(self._groups.add(clips))

    def _write(self, groups: list[pa.Table]) -> None:
        """Writes whole row groups."""
        for group in groups:
            self._writer.write_table(group, row_group_size=GROUP_ROWS)


def lineage_parts(version: Version, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Reads a version's ``lineage.parquet`` some rows at a time: it may be larger than memory.

    Raises IntegrityError if it does not open, or holds what it must not.
    """
    url, first = version.url(LINEAGE_FILE), 0
    with version.dataset.open_input(version.path(LINEAGE_FILE)) as source:
        with reading(url):
            file = pq.ParquetFile(source)
            schema = file.schema_arrow
        check_columns(schema, url, LINEAGE, LINEAGE_RULES)
        for group in range(file.num_row_groups):
            with reading(url):
                part = file.read_row_group(group, columns)
            check_values(part, url, LINEAGE_RULES, first)
            first += len(part)
            yield part


def kept_lineage(base: Version | None, kept: NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Reads the lineage of a version's clips that stay, some rows of LINEAGE at a time.

    ``kept``: (clips,), in the version's order, which is the manifest's.
    """
    if base is None or not kept.any():
        return
    before = 0
    for part in lineage_parts(base):
        stays = kept[before : before + len(part)]
        before += len(part)
        if stays.any():
            yield part.filter(pa.array(stays)).cast(LINEAGE)
