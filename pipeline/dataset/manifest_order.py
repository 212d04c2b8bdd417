"""Checks the order of a manifest's rows as they are read: the frames of a clip follow each other, in one row group."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.dataset.checked_table import raise_at


class ManifestOrder:
    """Checks, over the parts of a manifest, that the frames of a clip follow each other from the first to the last, in
    one row group. Checks what the columns that are read show."""

    def __init__(self, url: str) -> None:
        self._url, self._row, self._last = url, 0, pa.table({})

    def check(self, part: pa.Table) -> None:
        """Checks the next rows. Raises IntegrityError at the first that is out of order."""
        counters = [name for name in ("frame_index", "row") if name in part.column_names]
        keys = [name for name in ("clip_id", "shard", "row_group") if name in part.column_names]
        begins_F = part[counters[0]].to_numpy() == 0 if counters else np.zeros(len(part), np.bool_)
        for name in counters:
            index_F = part[name].to_numpy().astype(np.int64)
            before_F = np.concatenate([self._before(name), index_F[:-1]])
            wanted_F = np.where(begins_F, 0, before_F + 1)
            if len(bad := np.flatnonzero(index_F != wanted_F)):
                row = int(bad[0])
                bound = f"{wanted_F[row]}: a clip's frames follow each other in order"
                raise_at(f"{self._url}: column {name}", self._row + row, int(index_F[row]), bound)
        for name in keys if counters else ():
            self._check_key(part, name, begins_F, counters[0])
        self._row += len(part)
        self._last = part.slice(len(part) - 1).select([*counters, *keys])

    def _check_key(self, part: pa.Table, name: str, begins_F: NDArray[np.bool_], counter: str) -> None:
        """Checks that a column changes only where a clip begins, and the clip's id wherever one does.

        Raises IntegrityError at the first row where that is not so.
        """
        turns_F = self._turns(part, name)
        wrong_F = turns_F & ~begins_F
        if name == "clip_id":
            wrong_F |= ~turns_F & begins_F
        if wrong_F.any():
            row = int(np.flatnonzero(wrong_F)[0])
            where = f"{self._url}: column {name}, where {counter} is {part[counter][row].as_py()}"
            bound = "one and the same in a clip's frames, and of one clip alone"
            raise_at(where, self._row + row, part[name][row].as_py(), bound)

    def _turns(self, part: pa.Table, name: str) -> NDArray[np.bool_]:
        """Tells for each row whether a column's value is another one than in the row before."""
        column = part[name]
        if len(self._last):
            column = pa.chunked_array([*_cast(self._last[name]).chunks, *_cast(column).chunks])
        code_F = _codes(column)
        turns_F = np.ones(len(code_F), np.bool_)
        turns_F[1:] = code_F[1:] != code_F[:-1]
        return turns_F[len(turns_F) - len(part) :]

    def _before(self, name: str) -> NDArray[np.int64]:
        """Gives the last value of a counter, as an array of one."""
        return np.array([self._last[name][0].as_py() if len(self._last) else -1], np.int64)


def _cast(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _codes(column: pa.ChunkedArray) -> NDArray[Any]:
    """Gives a number per value, the same for the same value."""
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy())
    coded = column.combine_chunks() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0)
    return np.asarray(coded.indices.to_numpy())
