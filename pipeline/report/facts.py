"""Manifest -> what a report says in numbers: a row per clip, distributions over frames, classes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.report.measures import MEASURES
from pipeline.versions import Version
from schemas.manifest import completed

SAMPLED = 1_000_000  # frames that distributions are drawn from; of more, every n-th
BINS = 32
_COLUMNS = ["clip_id", "sequence_id", "variant", "edits", "frame_index", "timestamp_s", "split", "class_ids"]
_COLUMNS += ["class_pixels", "shard", "row_group", "phash", *(m.column for m in MEASURES)]


@dataclass(frozen=True)
class ClipFacts:
    """One published clip."""

    clip_id: str
    sequence_id: str
    variant: int
    edits: tuple[str, ...]
    split: str
    start_s: float
    frames: int
    shard: str
    row_group: int
    means: dict[str, float]  # per measure that says something
    worst: dict[str, float]  # of its frames
    hash: int  # of its middle frame


@dataclass(frozen=True)
class Histogram:
    """Of a measure, over frames."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ClassFacts:
    """Of the label ids that are there: K of them."""

    ids: tuple[int, ...]
    pixels_K: NDArray[np.int64]
    frames_K: NDArray[np.int64]
    together_KK: NDArray[np.int64]  # frames that show both


@dataclass(frozen=True)
class Facts:
    """Of a version."""

    clips: list[ClipFacts]
    histograms: dict[str, Histogram]
    classes: ClassFacts


def gather(version: Version) -> Facts:
    """Reads the manifest once, a part at a time."""
    there = set(version.manifest_columns())
    parts = version.manifest_parts([name for name in _COLUMNS if name in there])
    step = max(1, version.record.counts.frames // SAMPLED)
    clips: list[ClipFacts] = []
    values: dict[str, list[NDArray[np.float32]]] = {m.column: [] for m in MEASURES}
    classes = _Classes()
    for rows in whole_clips(completed(part).select(_COLUMNS) for part in parts):
        clips += _clips(rows)
        classes.add(rows)
        for name, found in values.items():
            found.append(_valid(rows[name])[::step])
    return Facts(clips, {n: h for n, v in values.items() if (h := _histogram(v))}, classes.facts())


def whole_clips(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, in parts that end where a clip ends."""
    rest: pa.Table | None = None
    for part in parts:
        rows = part if rest is None else pa.concat_tables([rest, part])
        first = np.flatnonzero(rows["frame_index"].to_numpy() == 0)
        rest = rows.slice(int(first[-1]))
        if first[-1]:
            yield rows.slice(0, int(first[-1]))
    if rest is not None and len(rest):
        yield rest


def _clips(rows: pa.Table) -> Iterator[ClipFacts]:
    first = np.flatnonzero(rows["frame_index"].to_numpy() == 0)
    edges = [*first.tolist(), len(rows)]
    heads = rows.take(pa.array(first)).to_pylist()
    columns = {m: rows[m.column].to_numpy().astype(np.float64) for m in MEASURES}  # NaN where null
    hashes = rows["phash"].fill_null(0).to_numpy()
    for head, start, stop in zip(heads, edges[:-1], edges[1:], strict=True):
        means, worst = {}, {}
        for measure, column in columns.items():
            known = column[start:stop][np.isfinite(column[start:stop])]
            if len(known):
                means[measure.column] = float(known.mean())
                worst[measure.column] = float(known.min() if measure.worst == "low" else known.max())
        yield ClipFacts(
            head["clip_id"], head["sequence_id"], head["variant"], tuple(head["edits"]), head["split"],
            head["timestamp_s"], stop - start, head["shard"], head["row_group"], means, worst,
            int(hashes[(start + stop) // 2]),
        )  # fmt: skip


def _valid(column: pa.ChunkedArray) -> NDArray[np.float32]:
    return np.asarray(column.drop_null().to_numpy(), np.float32)


def _histogram(parts: list[NDArray[np.float32]]) -> Histogram | None:
    values = np.concatenate(parts) if parts else np.empty(0, np.float32)
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, BINS, (low, high if high > low else low + 1e-6))
    return Histogram(low, high, tuple(counts.tolist()))


class _Classes:
    """Counts per class."""

    def __init__(self) -> None:
        self._pixels, self._frames = np.zeros(65_536, np.int64), np.zeros(65_536, np.int64)
        self._together: dict[tuple[int, ...], int] = {}

    def add(self, rows: pa.Table) -> None:
        ids = rows["class_ids"].combine_chunks()
        flat = ids.flatten().to_numpy()
        pixels = rows["class_pixels"].combine_chunks().flatten().to_numpy()
        self._pixels += np.bincount(flat, weights=pixels, minlength=65_536).astype(np.int64)
        self._frames += np.bincount(flat, minlength=65_536)
        for shown in map(tuple, ids.to_pylist()):
            self._together[shown] = self._together.get(shown, 0) + 1

    def facts(self) -> ClassFacts:
        ids = tuple(np.flatnonzero(self._frames).tolist())
        place = {class_id: k for k, class_id in enumerate(ids)}
        together_KK = np.zeros((len(ids), len(ids)), np.int64)
        for shown, count in self._together.items():
            at = [place[class_id] for class_id in shown]
            together_KK[np.ix_(at, at)] += count
        return ClassFacts(ids, self._pixels[list(ids)], self._frames[list(ids)], together_KK)
