"""Reads manifest and lineage rows of new data files: by ranged reads of footers, no media."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.data_file import clip_sources, manifest_rows
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import IntegrityError, StorageError
from flowreel.schemas.lineage import LINEAGE
from flowreel.schemas.outcome import DataFile

READERS = 16
AHEAD = 128  # files to prefetch
_TAIL_BYTES = 32 * 2**10  # holds most footers
_END_BYTES = 8  # length of the footer and the format's name


class FooterRows:
    """Holds the rows of one data file, whose clips come one after the other, each in frame order."""

    def __init__(self, rows: pa.Table, sources: pa.Table, since: int) -> None:
        """Joins rows of MANIFEST and of SOURCES. ``since``: the version that publishes the clips first.

        Raises ValueError if the two tables are of different clips.
        """
        first = np.flatnonzero(rows["frame_index"].to_numpy() == 0)
        clip_ids = rows["clip_id"].take(pa.array(first)).to_pylist()
        if sources["clip_id"].to_pylist() != clip_ids:
            raise ValueError("its manifest rows and the sources in its footer are of different clips")
        self._edges = [*first.tolist(), len(rows)]
        self._rows = rows
        told = sources.select(LINEAGE.names[:-1]).columns
        # Of a whole file at once: for one clip alone, the last column takes longer than all else.
        self._lineage = pa.table([*told, pa.repeat(pa.scalar(since, pa.int32()), len(sources))], schema=LINEAGE)
        self.numbers = {clip_id: k for k, clip_id in enumerate(clip_ids)}  # of clips, in order

    def rows(self, first: int, end: int) -> pa.Table:
        """Gives the rows of MANIFEST of the clips [first, end): one per frame."""
        return self._rows.slice(self._edges[first], self._edges[end] - self._edges[first])

    def lineage(self, first: int, end: int) -> pa.Table:
        """Gives the rows of LINEAGE of the clips [first, end): one per clip."""
        return self._lineage.slice(first, end - first)


def read_footers(dataset: Store, files: Iterable[DataFile], since: int) -> Iterator[FooterRows]:
    """Reads the footer of each file in turn, ahead and in parallel. ``since``: the version that publishes their clips.

    Raises IntegrityError for a damaged file, StorageError if the store keeps failing.
    """
    return prefetch(partial(_footer_rows, dataset, since), files, AHEAD, READERS)


def _footer_rows(dataset: Store, since: int, file: DataFile) -> FooterRows:
    """Reads one file's footer. Raises what `read_footers` does."""
    url = dataset.url(file.path)
    try:
        footer = pq.read_metadata(pa.BufferReader(_footer(dataset, file)))
        return FooterRows(manifest_rows(footer, url), clip_sources(footer, url), since)
    except StorageError:
        raise
    except (IntegrityError, ValueError, TypeError, KeyError, OSError, pa.ArrowException) as error:
        raise IntegrityError(
            f"{url}: damaged: {error}; delete it and run the same command to render it again"
        ) from None


def _footer(dataset: Store, file: DataFile) -> bytes:
    """Reads a file's last bytes, which Parquet readers take for a file: mostly in one request."""
    tail = dataset.read_range(file.path, max(0, file.size - _TAIL_BYTES), file.size)
    wanted = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    return tail if wanted <= len(tail) else dataset.read_range(file.path, max(0, file.size - wanted), file.size)
