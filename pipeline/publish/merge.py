"""Rows of a new manifest in order, a part at a time: those of its base version that stay, and those of new clips."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.dataset.lineage_file import LineageFile
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.publish.footers import FooterRows, read_footers
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.manifest import MANIFEST, completed
from flowreel.schemas.outcome import DataFile


@dataclass(frozen=True)
class Merge:
    """Where the rows of a manifest come from."""

    base: Version | None
    base_clips: pa.Table  # `versions.CLIPS` of the base
    kept: NDArray[np.bool_]  # which of them stay
    new_clips: pa.Table  # CLIPS
    new_file: NDArray[np.int64]  # the row of ``files`` that holds each new clip
    files: pa.Table  # `flowreel.schemas.manifest.SHARDS` of the new clips

    def clips(self) -> pa.Table:
        """All clips, in manifest order: by sequence, variant and time of their start, so that filters and people find
        things together. With a column `place`: the row among the kept clips and, after those, the new ones."""
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

    def rows(self, dataset: Store, lineage: LineageFile) -> Iterator[pa.Table]:
        """Tables of the schema MANIFEST; ``lineage`` grows with them. Raises IntegrityError for a damaged data file."""
        clips, number_kept = self.clips(), int(self.kept.sum())
        place, frames = clips["place"].to_numpy(), clips["frames"].to_numpy()
        is_new = place >= number_kept
        kept, new = _Kept(self), _New(self, dataset, place[is_new] - number_kept, lineage)
        edges = np.flatnonzero(np.diff(is_new, prepend=not is_new[:1].any(), append=not is_new[-1:].any()))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if is_new[start]:
                yield from new.take(stop - start)
            else:
                lineage.keep(stop - start)
                yield from kept.take(int(frames[start:stop].sum()))


class _Kept:
    """Rows of the base version that stay."""

    def __init__(self, merge: Merge) -> None:
        self._parts, self._rest = self._filtered(merge), MANIFEST.empty_table()

    def take(self, count: int) -> Iterator[pa.Table]:
        """The next ``count`` rows."""
        while count:
            if not len(self._rest):
                self._rest = next(self._parts)
            part = self._rest.slice(0, count)
            self._rest = self._rest.slice(len(part))
            count -= len(part)
            if len(part):
                yield part

    def _filtered(self, merge: Merge) -> Iterator[pa.Table]:
        if merge.base is None or not merge.kept.any():
            return
        ends, before = np.cumsum(merge.base_clips["frames"].to_numpy(), dtype=np.int64), 0
        for part in merge.base.manifest_parts():
            clip = np.searchsorted(ends, np.arange(before, before + len(part)), side="right")
            before += len(part)
            stays = merge.kept[clip]
            yield completed(part if stays.all() else part.filter(pa.array(stays)))


class _New:
    """Rows of new clips. A data file's rows are held from its first clip to its last."""

    def __init__(self, merge: Merge, dataset: Store, clips: NDArray[np.int64], lineage: LineageFile) -> None:
        self._merge, self._dataset, self._clips, self._lineage, self._next = merge, dataset, clips, lineage, 0
        self._file, self._clip_ids = merge.new_file[clips], merge.new_clips["clip_id"]
        self._last = np.empty(len(merge.files), np.int64)  # position of each file's last clip
        self._last[self._file] = np.arange(len(clips))
        _, first = np.unique(self._file, return_index=True)
        wanted = self._file[np.sort(first)].tolist()
        self._footers = read_footers(dataset, (_data_file(merge.files, row) for row in wanted))
        self._open: dict[int, FooterRows] = {}

    def take(self, count: int) -> Iterator[pa.Table]:
        """The rows of the next ``count`` clips; of clips that follow each other in their file too, in one piece."""
        held, start, end = -1, 0, 0  # clips of a file that are not yielded yet
        for position in range(self._next, self._next + count):
            file = int(self._file[position])
            number = self._number(position, file)
            if (file, number) != (held, end):
                if end > start:
                    yield self._piece(held, start, end, position)
                held, start = file, number
            end = number + 1
        self._next += count
        yield self._piece(held, start, end, self._next)

    def _number(self, position: int, file: int) -> int:
        """Of a clip in its file, which is opened if it is not."""
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

    def _piece(self, file: int, start: int, end: int, position: int) -> pa.Table:
        """Rows of the file's clips [start, end); what comes from ``position`` on decides whether it stays open."""
        rows = self._open[file]
        self._lineage.add(rows.sources(start, end))
        if self._last[file] < position:
            del self._open[file]
        return rows.rows(start, end)


def _data_file(files: pa.Table, row: int) -> DataFile:
    return DataFile(files["path"][row].as_py(), files["size"][row].as_py(), files["sha256"][row].as_py())
