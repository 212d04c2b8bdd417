"""Writes a manifest row group by row group, and counts what goes into it: it may be larger than memory."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flowreel.pipeline.dataset.checked_table import check_values
from flowreel.schemas.manifest import MANIFEST
from flowreel.schemas.rules import MANIFEST_RULES

GROUP_ROWS = 65_536
_ALL_IDS = 65_536


@dataclass
class Totals:
    """Counts what a manifest holds."""

    frames: int = 0
    clips: int = 0
    sequences: int = 0
    split_frames: Counter[str] = field(default_factory=Counter)
    split_clips: Counter[str] = field(default_factory=Counter)
    split_sequences: Counter[str] = field(default_factory=Counter)
    class_pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_ALL_IDS, np.int64))  # per class id
    class_frames: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_ALL_IDS, np.int64))  # that show it
    shards: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # paths of its data files

    def add(self, rows: pa.Table, before: str | None) -> None:
        """Counts ``rows``, which come in manifest order; ``before``: the sequence of the row before them, if any."""
        self.frames += len(rows)
        heads = rows.select(["sequence_id", "split"]).filter(pc.equal(rows["frame_index"], 0))
        self.clips += len(heads)
        per_sequence = rows.group_by(["sequence_id", "split"]).aggregate([])
        new = per_sequence.filter(pc.not_equal(per_sequence["sequence_id"], before or ""))
        self.sequences += len(new)
        for counter, table in ((self.split_frames, rows), (self.split_clips, heads), (self.split_sequences, new)):
            for item in table["split"].value_counts().to_pylist():
                counter[item["values"]] += item["counts"]
        ids, pixels = (rows[name].combine_chunks().flatten().to_numpy() for name in ("class_ids", "class_pixels"))
        self.class_frames += np.bincount(ids, minlength=_ALL_IDS)
        # A row group's sums are far below 2**53, where floats are exact.
        self.class_pixels += np.bincount(ids, weights=pixels, minlength=_ALL_IDS).astype(np.int64)


class RowGroups:
    """Collects rows into tables of GROUP_ROWS rows, in one piece each: how a table is chunked shows in its pages."""

    def __init__(self) -> None:
        self._waiting, self._count = list[pa.Table](), 0

    def add(self, rows: pa.Table) -> list[pa.Table]:
        """Takes any number of rows; gives the groups that are full with them."""
        self._waiting.append(rows)
        self._count += len(rows)
        full: list[pa.Table] = []
        while self._count >= GROUP_ROWS:
            whole = pa.concat_tables(self._waiting)
            full.append(whole.slice(0, GROUP_ROWS).combine_chunks())
            self._waiting, self._count = [whole.slice(GROUP_ROWS)], self._count - GROUP_ROWS
        return full

    def rest(self) -> list[pa.Table]:
        """Gives the last group, if there is one that is not full; to be asked for once."""
        return [pa.concat_tables(self._waiting).combine_chunks()] if self._count else []


class ManifestWriter:
    """Writes rows that come in manifest order. The same rows give the same bytes, however they are divided."""

    def __init__(self, place: Path) -> None:
        self.totals = Totals()  # of the rows that are written; complete when the file is closed
        self._groups, self._before = RowGroups(), None
        self._shards: list[pa.Array] = []
        self._writer = pq.ParquetWriter(place, MANIFEST, compression="zstd")
        # Compressing a group takes as long as putting the next one together.
        self._behind = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        with self._writer, self._behind:
            if error is None:
                for group in self._groups.rest():
                    self._write(group)
                self._wait()
                if self._shards:
                    self.totals.shards = pa.concat_arrays(self._shards).unique()

    def write(self, rows: pa.Table) -> None:
        """Writes the next rows, of the schema MANIFEST. Raises OSError, perhaps at a later call, for a full disk."""
        for group in self._groups.add(rows):
            self._write(group)

    def _write(self, group: pa.Table) -> None:
        """Hands one row group to the thread that compresses, and counts what is in it.

        Raises IntegrityError for values that no reader would take: they come from a damaged data file.
        """
        check_values(group, "rows to publish", MANIFEST_RULES, self.totals.frames)
        self._wait()
        self._written = self._behind.submit(self._writer.write_table, group, row_group_size=GROUP_ROWS)
        self.totals.add(group, self._before)
        self._before = group["sequence_id"][-1].as_py()
        self._shards.append(group["shard"].unique())
        if len(self._shards) > 256:
            self._shards = [pa.concat_arrays(self._shards).unique()]

    def _wait(self) -> None:
        """Waits for the group under way: one at a time is in memory beside the next."""
        if self._written:
            self._written.result()


def write_manifest(place: Path, parts: Iterable[pa.Table]) -> Totals:
    """Writes a whole manifest, of tables of the schema MANIFEST in manifest order; gives what it holds."""
    with ManifestWriter(place) as writer:
        for rows in parts:
            writer.write(rows)
    return writer.totals
