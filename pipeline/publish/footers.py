"""Reads manifest rows of new data files, and what their clips were rendered from, by ranged reads of footers: no
media."""

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
    """The rows of one data file, whose clips come one after the other, each in frame order."""

    def __init__(self, rows: pa.Table, sources: pa.Table) -> None:
        """Joins the two tables. Raises ValueError if they are of different clips."""
        first = np.flatnonzero(rows["frame_index"].to_numpy() == 0)
        clip_ids = rows["clip_id"].take(pa.array(first)).to_pylist()
        if sources["clip_id"].to_pylist() != clip_ids:
            raise ValueError("its manifest rows and the sources in its footer are of different clips")
        self._edges = [*first.tolist(), len(rows)]
        self._rows = rows
        self._sources = sources.select(LINEAGE.names[:-1])  # all but `since`
        self.numbers = {clip_id: k for k, clip_id in enumerate(clip_ids)}  # of clips, in order

    def rows(self, first: int, end: int) -> pa.Table:
        """Gives the manifest rows of the clips [first, end)."""
        return self._rows.slice(self._edges[first], self._edges[end] - self._edges[first])

    def sources(self, first: int, end: int) -> pa.Table:
        """Gives rows of LINEAGE without its last column, one per clip."""
        return self._sources.slice(first, end - first)


def read_footers(dataset: Store, files: Iterable[DataFile]) -> Iterator[FooterRows]:
    """Yields the rows of each file in turn, prefetched in parallel. Raises IntegrityError for a damaged file."""
    return prefetch(partial(_rows, dataset), files, AHEAD, READERS)


def _rows(dataset: Store, file: DataFile) -> FooterRows:
    url = dataset.url(file.path)
    try:
        footer = pq.read_metadata(pa.BufferReader(_footer(dataset, file)))
        return FooterRows(manifest_rows(footer, url), clip_sources(footer, url))
    except StorageError:
        raise
    except (ValueError, KeyError, OSError, pa.ArrowException) as error:
        raise IntegrityError(
            f"{url}: damaged: {error}; delete it and run the same command to render it again"
        ) from None


def _footer(dataset: Store, file: DataFile) -> bytes:
    """Reads a file's last bytes, which Parquet readers take for a file: mostly one request."""
    tail = dataset.read_range(file.path, max(0, file.size - _TAIL_BYTES), file.size)
    wanted = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    return tail if wanted <= len(tail) else dataset.read_range(file.path, max(0, file.size - wanted), file.size)
