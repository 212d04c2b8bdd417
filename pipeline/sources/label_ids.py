"""Counts the label ids that a source's maps hold, from the index."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.edits import remap_table
from flowreel.pipeline.sources.encodings.hints import likely_encodings, train_ids
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.source import SourceSpec

_BATCH = 65_536  # files
_ALL_IDS = 65_536
_NAMED = 3  # files in a message


@dataclass(frozen=True)
class IdRow:
    """One id that a source's label maps hold, and the class that it becomes; "" for one of no class."""

    id: int
    class_name: str
    pixels: int


@dataclass(frozen=True)
class IdCount:
    """What a source's label maps hold."""

    pixels: dict[int, int]  # class id -> pixels, after the remap
    rows: tuple[IdRow, ...]  # by source id
    problems: tuple[str, ...]
    notes: tuple[str, ...]  # what looks wrong, but may be meant


def count_ids(
    facts: pa.Table, source: SourceSpec, space: LabelSpace, order_N: NDArray[np.int64], paths: pa.ChunkedArray
) -> IdCount:
    """Counts pixels per source id and per class, and names a problem for each id that the label space does not have,
    or that a remap does not name.

    ``facts``: of label maps (`file_index.INDEX`); ``paths``: theirs; ``order_N``: the order to name them in.
    """
    table = remap_table(source.classes_of_ids, space)
    fine = np.zeros(_ALL_IDS, np.bool_)  # by source id
    fine[np.isin(table, list(space.ids))] = True
    if not source.keeps_others:
        fine &= np.isin(np.arange(_ALL_IDS), list(source.classes_of_ids))
    pixels = np.zeros(_ALL_IDS, np.int64)
    rows: defaultdict[int, list[NDArray[np.int64]]] = defaultdict(list)
    for first, batch in _batches(facts.select(["ids", "counts"])):
        raw, count = batch["ids"].flatten().to_numpy(), batch["counts"].flatten().to_numpy()
        pixels += _total(raw, count)
        odd = np.flatnonzero(~fine[raw])
        if len(odd):
            row = first + np.repeat(np.arange(len(batch)), pc.list_value_length(batch["ids"]).to_numpy())[odd]
            for value in np.unique(raw[odd]).tolist():
                rows[value].append(row[raw[odd] == value])
    place = np.empty(len(order_N), np.int64)
    place[order_N] = np.arange(len(order_N))
    problems = []
    for value in sorted(rows):
        files = order_N[np.sort(place[np.concatenate(rows[value])])]
        named = [paths[row].as_py() for row in files[:_NAMED].tolist()]
        problems.append(_problem(value, int(pixels[value]), len(files), named, space))
    names = {one.id: one.name for one in space.classes}
    found = {int(i): int(pixels[i]) for i in np.flatnonzero(pixels)}
    classes: defaultdict[int, int] = defaultdict(int)
    for value, number in found.items():
        classes[int(table[value])] += number
    problems += likely_encodings(found, space) if source.encoding == "ids" else []
    hint = train_ids(found, space) if not source.remap or (rows and 255 in found) else ""
    return IdCount(
        dict(sorted(classes.items())),
        tuple(IdRow(value, names.get(int(table[value]), ""), number) for value, number in found.items()),
        (*problems, hint) if hint and rows else tuple(problems),
        (hint,) if hint and not rows else (),
    )


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
    where = f"{pixels:,} pixels in {files:,} file{'' if files == 1 else 's'}: {', '.join(named)}{more}"
    if value in space.ids:
        return (
            f"label id {value} is not named by source.remap: {where}; it would become '{space.by_id[value].name}': add"
            f" {value} to source.remap, or `others: keep` if all other ids are those of label space '{space.name}'"
        )
    return f"label id {value} is unknown in label space '{space.name}': {where}; add it to source.remap"
