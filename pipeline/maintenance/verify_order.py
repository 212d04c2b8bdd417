"""Sorts the rows of a version's manifest and lineage by data file, a part at a time."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from flowreel.pipeline.dataset.lineage_file import lineage_parts
from flowreel.pipeline.dataset.versions import Version
from flowreel.schemas.lineage import LINEAGE
from flowreel.schemas.manifest import MANIFEST


@dataclass(frozen=True)
class FileRows:
    """What a version says of one data file: a row per frame of the manifest, a row per clip of the lineage."""

    manifest: pa.Table
    lineage: pa.Table  # fewer rows than clips where lineage.parquet ends early

    @classmethod
    def none(cls) -> "FileRows":
        """Gives the rows of a file that the manifest does not name."""
        return cls(MANIFEST.empty_table(), LINEAGE.empty_table())


@dataclass
class _Pieces:
    """The rows of one data file that have been read."""

    manifest: list[pa.Table] = field(default_factory=list)
    lineage: list[pa.Table] = field(default_factory=list)


def rows_by_file(version: Version, counts: Counter[str]) -> Iterator[tuple[str, FileRows]]:
    """Yields path and all rows of each data file. Clips of one file stand close to each other in a manifest.

    ``counts``: rows of the manifest per data file. Raises IntegrityError for damaged tables.
    """
    pieces: defaultdict[str, _Pieces] = defaultdict(_Pieces)
    missing, clips = counts.copy(), _Clips(lineage_parts(version))
    for part in version.manifest_parts(coded=["shard"]):
        heads_F = part["frame_index"].to_numpy() == 0
        lineage = clips.take(int(heads_F.sum()))
        number_F = np.cumsum(heads_F) - 1  # of the lineage's row, where a clip begins
        column = part["shard"].combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        codes = column.indices.to_numpy()
        order = np.argsort(codes, kind="stable")
        edges = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            rows = order[start:stop]
            path = column.dictionary[int(codes[rows[0]])].as_py()
            of_clips = number_F[rows[heads_F[rows]]]
            pieces[path].manifest.append(part.drop_columns(["shard"]).take(pa.array(rows)))
            pieces[path].lineage.append(lineage.take(pa.array(of_clips[of_clips < len(lineage)])))
            missing[path] -= stop - start
            if not missing[path]:
                found = pieces.pop(path)
                yield path, FileRows(pa.concat_tables(found.manifest), pa.concat_tables(found.lineage))


class _Clips:
    """Hands out the rows of a lineage in order, as many as are asked for."""

    def __init__(self, parts: Iterator[pa.Table]) -> None:
        self._parts, self._rest = parts, LINEAGE.empty_table()

    def take(self, count: int) -> pa.Table:
        """Gives the next rows; fewer if there are no more."""
        while len(self._rest) < count and (part := next(self._parts, None)) is not None:
            self._rest = pa.concat_tables([self._rest, part])
        found, self._rest = self._rest.slice(0, count), self._rest.slice(count)
        return found
