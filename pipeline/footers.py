"""Manifest rows of new data files, and what their clips were rendered from: by ranged reads of footers, no media."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ahead import in_order
from pipeline.data_file import clip_sources, manifest_rows
from pipeline.storage import Store
from schemas.errors import IntegrityError, StorageError
from schemas.outcome import DataFile

READERS = 16
AHEAD = 128  # files that are read before their rows are wanted
_TAIL_BYTES = 32 * 2**10  # holds most footers
_END_BYTES = 8  # length of the footer and the format's name


class FooterRows:
    """The rows of one data file, clip by clip."""

    def __init__(self, rows: pa.Table, sources: pa.Table) -> None:
        first = np.flatnonzero(rows["frame_index"].to_numpy() == 0)
        clip_ids = rows["clip_id"].take(pa.array(first)).to_pylist()
        edges = [*first.tolist(), len(rows)]
        self.rows = rows  # clips one after the other, each in frame order
        self.spans = dict(zip(clip_ids, pairwise(edges), strict=True))  # [start, stop) of each clip
        self._sources = sources
        self._lines = {clip_id: line for line, clip_id in enumerate(sources["clip_id"].to_pylist())}

    def sources_of(self, clip_id: str) -> pa.Table:
        """A row of `schemas.lineage.SOURCES`. Raises KeyError if the file does not hold the clip."""
        return self._sources.slice(self._lines[clip_id], 1)


def read_footers(dataset: Store, files: Iterable[DataFile]) -> Iterator[FooterRows]:
    """Of each file in turn, read ahead in parallel. Raises IntegrityError for a damaged file."""
    return in_order(partial(_rows, dataset), files, AHEAD, READERS)


def _rows(dataset: Store, file: DataFile) -> FooterRows:
    url = dataset.url(file.path)
    try:
        footer = pq.read_metadata(pa.BufferReader(_footer(dataset, file)))
        return FooterRows(manifest_rows(footer, url), clip_sources(footer, url))
    except StorageError:
        raise
    except (ValueError, KeyError, OSError, pa.ArrowException) as error:
        raise IntegrityError(
            f"{url}: damaged: {error}; delete it and run the same command, it is rendered anew"
        ) from None


def _footer(dataset: Store, file: DataFile) -> bytes:
    """A file's last bytes, which Parquet readers take for a file: mostly one request."""
    tail = dataset.read_range(file.path, max(0, file.size - _TAIL_BYTES), file.size)
    wanted = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    return tail if wanted <= len(tail) else dataset.read_range(file.path, max(0, file.size - wanted), file.size)
