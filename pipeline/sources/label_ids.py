"""Counts the label ids that a source's maps hold, from the index."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.schemas.label_space import LabelSpace

_BATCH = 65_536  # files
_ALL_IDS = 65_536
_NAMED = 3  # files in a message


def count_ids(
    facts: pa.Table, remap: NDArray[np.uint16], space: LabelSpace, order_N: NDArray[np.int64], paths: pa.ChunkedArray
) -> tuple[dict[int, int], list[str]]:
    """Counts pixels per class after the remap, and names a problem for each id that the label space does not have.

    ``facts``: of label maps (`file_index.INDEX`); ``paths``: theirs; ``order_N``: the order to name them in.
    """
    known = np.zeros(_ALL_IDS, np.bool_)
    known[list(space.ids)] = True
    pixels, strange = np.zeros(_ALL_IDS, np.int64), np.zeros(_ALL_IDS, np.int64)
    rows: defaultdict[int, list[NDArray[np.int64]]] = defaultdict(list)
    for first, batch in _batches(facts.select(["ids", "counts"])):
        raw, count = batch["ids"].flatten().to_numpy(), batch["counts"].flatten().to_numpy()
        mapped = remap[raw]
        pixels += _total(mapped, count)
        odd = np.flatnonzero(~known[mapped])
        if len(odd):
            strange += _total(raw[odd], count[odd])
            row = first + np.repeat(np.arange(len(batch)), pc.list_value_length(batch["ids"]).to_numpy())[odd]
            for value in np.unique(raw[odd]).tolist():
                rows[value].append(row[raw[odd] == value])
    found, problems = np.flatnonzero(pixels), []
    place = np.empty(len(order_N), np.int64)
    place[order_N] = np.arange(len(order_N))
    for value in sorted(rows):
        files = order_N[np.sort(place[np.concatenate(rows[value])])]
        named = [paths[row].as_py() for row in files[:_NAMED].tolist()]
        problems.append(_problem(value, int(strange[value]), len(files), named, space))
    return dict(zip(found.tolist(), pixels[found].tolist(), strict=True)), problems


def mixed_readings(wanted: Sequence[tuple[pa.Table, str]], facts: pa.Table) -> Iterator[str]:
    """Yields a problem for each role whose indexed pictures have palettes of different meaning.

    ``wanted``: tables of files with their role, whose ``facts`` follow each other.
    """
    first = 0
    for table, role in wanted:
        reading = pc.replace_substring_regex(facts["reading"].slice(first, len(table)), r"\|.*$", "")
        first += len(table)
        kinds = [kind for kind in sorted(pc.unique(reading).to_pylist()) if kind]
        if len(kinds) > 1:
            paths = [table["path"][pc.index(reading, kind).as_py()].as_py() for kind in kinds[:2]]
            yield (
                f"{role} maps are indexed pictures whose palettes change: {paths[0]} has a {kinds[0]}, {paths[1]} a"
                f" {kinds[1]}; store all of them as grey PNGs"
            )


def _batches(table: pa.Table) -> Iterator[tuple[int, pa.RecordBatch]]:
    first = 0
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield first, batch
        first += len(batch)


def _total(ids: NDArray[np.integer], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts pixels per id; a batch's sums are far below 2**53, where floats are exact."""
    return np.bincount(ids, weights=count, minlength=_ALL_IDS).astype(np.int64)


def _problem(value: int, pixels: int, files: int, named: list[str], space: LabelSpace) -> str:
    more = f" and {files - _NAMED:,} more" if files > _NAMED else ""
    return (
        f"label id {value} is unknown in label space '{space.name}': {pixels:,} pixels in {files:,}"
        f" file{'' if files == 1 else 's'}: {', '.join(named)}{more}; add it to source.remap"
    )
