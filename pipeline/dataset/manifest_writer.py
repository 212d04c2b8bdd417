"""Writes a manifest row group by row group, and counts what goes into it: it may be larger than memory."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flowreel.schemas.manifest import MANIFEST

GROUP_ROWS = 65_536
_ALL_IDS = 65_536


@dataclass
class Totals:
    """Counts of what a manifest holds."""

    frames: int = 0
    clips: int = 0
    sequences: int = 0
    split_frames: Counter[str] = field(default_factory=Counter)
    class_pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_ALL_IDS, np.int64))  # per class id
    class_frames: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_ALL_IDS, np.int64))  # that show it
    shards: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # paths of its data files

    def add(self, rows: pa.Table, before: str | None) -> None:
        """Counts rows, which come in manifest order; ``before``: the sequence of the row before them."""
        self.frames += len(rows)
        self.clips += int((rows["frame_index"].to_numpy() == 0).sum())
        sequences = rows["sequence_id"].unique()
        self.sequences += len(sequences) - (sequences[0].as_py() == before)
        for item in rows["split"].value_counts().to_pylist():
            self.split_frames[item["values"]] += item["counts"]
        ids, pixels = (rows[name].combine_chunks().flatten().to_numpy() for name in ("class_ids", "class_pixels"))
        self.class_frames += np.bincount(ids, minlength=_ALL_IDS)
        # A row group's sums are far below 2**53, where floats are exact.
        self.class_pixels += np.bincount(ids, weights=pixels, minlength=_ALL_IDS).astype(np.int64)


def write_manifest(place: Path, parts: Iterable[pa.Table]) -> Totals:
    """Writes rows that come in manifest order. The same rows give the same bytes, however they are divided."""
    totals, before = Totals(), None
    shards: list[pa.Array] = []
    with pq.ParquetWriter(place, MANIFEST, compression="zstd") as writer, ThreadPoolExecutor(1) as background:
        written = background.submit(lambda: None)
        for rows in _groups(parts):
            written.result()
            # Compressing a group takes as long as putting the next one together.
            written = background.submit(writer.write_table, rows, row_group_size=GROUP_ROWS)
            totals.add(rows, before)
            before = rows["sequence_id"][-1].as_py()
            shards.append(rows["shard"].unique())
            if len(shards) > 256:
                shards = [pa.concat_arrays(shards).unique()]
        written.result()
    if shards:
        totals.shards = pa.concat_arrays(shards).unique()
    return totals


def _groups(parts: Iterable[pa.Table]) -> Iterable[pa.Table]:
    """Yields tables of GROUP_ROWS rows, each in one chunk: how a table is chunked shows in its pages."""
    waiting: list[pa.Table] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part)
        while count >= GROUP_ROWS:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, GROUP_ROWS).combine_chunks()
            waiting, count = [whole.slice(GROUP_ROWS)], count - GROUP_ROWS
    if count:
        yield pa.concat_tables(waiting).combine_chunks()
