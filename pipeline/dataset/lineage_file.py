"""``lineage.parquet``: from every published clip to what it was rendered from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flowreel.pipeline.dataset.manifest_writer import GROUP_ROWS
from flowreel.pipeline.dataset.versions import LINEAGE_FILE, Version
from flowreel.schemas.lineage import LINEAGE


class LineageFile:
    """``lineage.parquet`` of a version while it is written: a row per clip, in manifest order."""

    def __init__(self, place: Path, number: int, kept: Iterator[pa.Table]) -> None:
        """``kept``: the lineage of the clips that stay, as `kept_lineage` gives it."""
        self._writer = pq.ParquetWriter(place, LINEAGE, compression="zstd")
        self._number, self._kept, self._rest = number, kept, LINEAGE.empty_table()
        self._new, self._waiting, self._count = list[pa.Table](), list[pa.Table](), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def keep(self, clips: int) -> None:
        """The next clips that stay."""
        while clips:
            if not len(self._rest):
                self._rest = next(self._kept)
            part = self._rest.slice(0, clips)
            self._rest = self._rest.slice(len(part))
            clips -= len(part)
            self._flush_new()
            self._waiting.append(part)
            self._write(len(part))

    def add(self, sources: pa.Table) -> None:
        """Clips that are new: rows of LINEAGE without its last column."""
        self._new.append(sources)
        self._write(len(sources))

    def _flush_new(self) -> None:
        """New clips get their last column many at a time: for one clip alone it takes longer than all else."""
        if self._new:
            new = pa.concat_tables(self._new)
            since = pa.repeat(pa.scalar(self._number, pa.int32()), len(new))
            self._waiting.append(pa.table([*new.columns, since], schema=LINEAGE))
            self._new = []

    def _write(self, count: int) -> None:
        """Row groups have one size, whatever the rows come in: the same clips give the same bytes."""
        self._count += count
        if self._count >= GROUP_ROWS:
            self._flush_new()
            whole = pa.concat_tables(self._waiting)
            full = len(whole) - len(whole) % GROUP_ROWS
            self._writer.write_table(whole.slice(0, full).combine_chunks(), row_group_size=GROUP_ROWS)
            self._waiting, self._count = [whole.slice(full)], len(whole) - full

    def _flush(self) -> None:
        self._flush_new()
        if self._count:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks(), row_group_size=GROUP_ROWS)
        self._waiting, self._count = [], 0


def lineage_parts(version: Version, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """A version's ``lineage.parquet``, some rows at a time: it may be larger than memory."""
    with version.opening(LINEAGE_FILE), version.dataset.open_input(version.path(LINEAGE_FILE)) as source:
        for batch in pq.ParquetFile(source).iter_batches(GROUP_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def kept_lineage(base: Version | None, kept: NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Lineage of a version's clips that stay, a part at a time: ``kept`` is in its order, which is the manifest's."""
    if base is None or not kept.any():
        return
    before = 0
    for part in lineage_parts(base):
        stays = kept[before : before + len(part)]
        before += len(part)
        if stays.any():
            yield part.filter(pa.array(stays)).cast(LINEAGE)
