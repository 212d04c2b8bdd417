"""Gives the rows of a new version in order, a part at a time: those of its base version that stay, and those of new
clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.dataset.lineage_file import kept_lineage
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.publish.footers import FooterRows, read_footers
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.lineage import LINEAGE
from flowreel.schemas.manifest import MANIFEST, completed
from flowreel.schemas.outcome import DataFile


class Part(NamedTuple):
    """Holds the next rows of both tables of a version. They need not be of the same clips: each table has its order."""

    rows: pa.Table  # of MANIFEST, one per frame; may be empty
    lineage: pa.Table  # of LINEAGE, one per clip; may be empty


@dataclass(frozen=True)
class Merge:
    """Says where the rows of a version come from."""

    base: Version | None
    base_clips: pa.Table  # `versions.CLIPS` of the base
    kept: NDArray[np.bool_]  # which of them stay
    new_clips: pa.Table  # CLIPS
    new_file: NDArray[np.int64]  # the row of ``files`` that holds each new clip
    files: pa.Table  # `flowreel.schemas.manifest.SHARDS` of the new clips

    def clips(self) -> pa.Table:
        """Gives all clips, in manifest order: by sequence, variant and time of their start, so that filters and people
        find things together. With a column `place`: the row among the kept clips and, after those, the new ones."""
        kept = self.base_clips.filter(pa.array(self.kept))
        both = pa.concat_tables([kept, self.new_clips]).unify_dictionaries().combine_chunks()
        if not len(both):
            return both.append_column("place", pa.array([], pa.int64()))
        sequence = both["sequence_id"].chunk(0)
        rank = np.empty(len(sequence.dictionary), np.int64)
        rank[pc.sort_indices(sequence.dictionary).to_numpy()] = np.arange(len(rank))
        keys = (both["timestamp_s"].to_numpy(), both["variant"].to_numpy(), rank[sequence.indices.to_numpy()])
        order = np.lexsort(keys)
        return both.append_column("place", pa.array(np.arange(len(both)))).take(pa.array(order))

    def parts(self, dataset: Store, number: int) -> Iterator[Part]:
        """Yields the rows of version ``number``. Raises IntegrityError for a damaged data file."""
        clips, number_kept = self.clips(), int(self.kept.sum())
        place, frames = clips["place"].to_numpy(), clips["frames"].to_numpy()
        is_new = place >= number_kept
        kept_rows, kept_clips = _Stream(_kept_rows(self)), _Stream(kept_lineage(self.base, self.kept))
        new, done = _New(self, dataset, number, place[is_new] - number_kept), 0
        edges = np.flatnonzero(np.diff(is_new, prepend=not is_new[:1].any(), append=not is_new[-1:].any()))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if is_new[start]:
                yield from new.parts(done, done + stop - start)
                done += stop - start
            else:
                rows = kept_rows.take(int(frames[start:stop].sum()))
                for of_frames, of_clips in zip_longest(rows, kept_clips.take(stop - start)):
                    yield Part(of_frames or MANIFEST.empty_table(), of_clips or LINEAGE.empty_table())


class _Stream:
    """Hands out the rows of tables that come one after the other, as many as are asked for."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables, self._rest = tables, pa.table({})

    def take(self, count: int) -> Iterator[pa.Table]:
        """Yields the next ``count`` rows; to be read to its end before the next ones are taken."""
        while count:
            if not len(self._rest):
                self._rest = next(self._tables)
            part = self._rest.slice(0, count)
            self._rest = self._rest.slice(len(part))
            count -= len(part)
            if len(part):
                yield part


def _kept_rows(merge: Merge) -> Iterator[pa.Table]:
    """Reads the manifest rows of the base version that stay, a part at a time."""
    if merge.base is None or not merge.kept.any():
        return
    ends, before = np.cumsum(merge.base_clips["frames"].to_numpy(), dtype=np.int64), 0
    for part in merge.base.manifest_parts():
        clip = np.searchsorted(ends, np.arange(before, before + len(part)), side="right")
        before += len(part)
        stays = merge.kept[clip]
        yield completed(part if stays.all() else part.filter(pa.array(stays)))


class _New:
    """Gives the rows of new clips. A data file's rows are held from its first clip to its last."""

    def __init__(self, merge: Merge, dataset: Store, number: int, clips: NDArray[np.int64]) -> None:
        """Takes ``clips``, rows of ``merge.new_clips`` in manifest order, of version ``number``."""
        self._merge, self._dataset, self._clips = merge, dataset, clips
        self._file, self._clip_ids = merge.new_file[clips], merge.new_clips["clip_id"]
        self._last = np.empty(len(merge.files), np.int64)  # position of each file's last clip
        self._last[self._file] = np.arange(len(clips))
        _, first = np.unique(self._file, return_index=True)
        wanted = self._file[np.sort(first)].tolist()
        self._footers = read_footers(dataset, (_data_file(merge.files, row) for row in wanted), number)
        self._open: dict[int, FooterRows] = {}

    def parts(self, first: int, stop: int) -> Iterator[Part]:
        """Yields the rows of the clips at positions [first, stop), which go on from those before; of clips that follow
        each other in their file too, in one piece."""
        held, start, end = -1, 0, 0  # clips of a file that are not yielded yet
        for position in range(first, stop):
            file = int(self._file[position])
            number = self._number(position, file)
            if (file, number) != (held, end):
                if end > start:
                    yield self._piece(held, start, end, position)
                held, start = file, number
            end = number + 1
        yield self._piece(held, start, end, stop)

    def _number(self, position: int, file: int) -> int:
        """Gives a clip's number in its file, which is opened if it is not. Raises IntegrityError if it is not there."""
        if file not in self._open:
            self._open[file] = next(self._footers)
        clip_id = self._clip_ids[int(self._clips[position])].as_py().hex()
        try:
            return self._open[file].numbers[clip_id]
        except KeyError:
            url = self._dataset.url(_data_file(self._merge.files, file).path)
            raise IntegrityError(
                f"{url}: does not hold clip {clip_id}; delete it and run the same command, it is rendered anew"
            ) from None

    def _piece(self, file: int, start: int, end: int, position: int) -> Part:
        """Gives the file's clips [start, end); what comes from ``position`` on decides whether it stays open."""
        rows = self._open[file]
        if self._last[file] < position:
            del self._open[file]
        return Part(rows.rows(start, end), rows.lineage(start, end))


def _data_file(files: pa.Table, row: int) -> DataFile:
    """Gives a row of SHARDS as what it names."""
    return DataFile(files["path"][row].as_py(), files["size"][row].as_py(), files["sha256"][row].as_py())
