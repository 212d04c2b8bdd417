"""Gathers a report's numbers from the manifest: clips in columns, distributions over frames, classes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.report.measures import MEASURES
from flowreel.schemas.manifest import completed

SAMPLED = 1_000_000  # frames that distributions are made of; of more, every n-th
BINS = 32
_HEAD = ["clip_id", "sequence_id", "variant", "edits", "split", "timestamp_s", "shard", "row_group"]
_COLUMNS = [*_HEAD, "frame_index", "class_ids", "class_pixels", "phash", *(m.column for m in MEASURES)]
_CODED = ("sequence_id", "split", "shard")  # strings that many clips share


@dataclass(frozen=True)
class ClipFacts:
    """Facts of one published clip."""

    clip_id: str
    sequence_id: str
    variant: int
    edits: tuple[str, ...]
    split: str
    start_s: float
    frames: int
    shard: str
    row_group: int
    means: dict[str, float]  # per measure that has values
    worst: dict[str, float]  # of its frames
    hash: int  # of its middle frame


@dataclass(frozen=True)
class Histogram:
    """The distribution of a measure over frames."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ClassFacts:
    """Facts of the K label ids that occur."""

    ids: tuple[int, ...]
    pixels_K: NDArray[np.int64]
    frames_K: NDArray[np.int64]
    together_KK: NDArray[np.int64]  # frames that show both, among the sampled ones


@dataclass(frozen=True)
class Facts:
    """Facts of a version of C clips, in manifest order."""

    heads: pa.Table  # a row per clip: what a manifest says of its first frame
    frames_C: NDArray[np.int64]
    hash_C: NDArray[np.uint64]  # of middle frames
    means: dict[str, NDArray[np.float64]]  # (C,) per measure; NaN where it has none
    worst: dict[str, NDArray[np.float64]]
    histograms: dict[str, Histogram]
    classes: ClassFacts

    @property
    def clip_count(self) -> int:
        """Counts the clips."""
        return len(self.frames_C)

    def clips(self, places: Sequence[int]) -> list[ClipFacts]:
        """Gives the facts of clips in some places."""
        heads = self.heads.take(pa.array(places, pa.int64())).to_pylist()
        return [
            ClipFacts(
                head["clip_id"], head["sequence_id"], head["variant"], tuple(head["edits"]), head["split"],
                head["timestamp_s"], int(self.frames_C[c]), head["shard"], head["row_group"],
                _known(self.means, c), _known(self.worst, c), int(self.hash_C[c]),
            )
            for c, head in zip(places, heads, strict=True)
        ]  # fmt: skip


def gather(version: Version) -> Facts:
    """Reads the manifest once, a part at a time."""
    there = set(version.manifest_columns())
    parts = version.manifest_parts([name for name in _COLUMNS if name in there])
    step = max(1, version.record.counts.frames // SAMPLED)
    clips = _Clips()
    values: dict[str, list[NDArray[np.float32]]] = {m.column: [] for m in MEASURES}
    classes = _Classes()
    for rows in whole_clips(completed(part).select(_COLUMNS) for part in parts):
        clips.add(rows)
        classes.add(rows, step)
        for name, found in values.items():
            found.append(_valid(rows[name])[::step])
    histograms = {n: h for n, v in values.items() if (h := _histogram(v))}
    return clips.facts(histograms, classes.facts())


def whole_clips(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yields the same rows, in parts that end where a clip ends."""
    rest: pa.Table | None = None
    for part in parts:
        rows = part if rest is None else pa.concat_tables([rest, part])
        first = np.flatnonzero(rows["frame_index"].to_numpy() == 0)
        rest = rows.slice(int(first[-1]))
        if first[-1]:
            yield rows.slice(0, int(first[-1]))
    if rest is not None and len(rest):
        yield rest


class _Clips:
    """Columns of clips, collected part by part."""

    def __init__(self) -> None:
        self._heads: list[pa.Table] = []
        self._frames: list[NDArray[np.int64]] = []
        self._hashes: list[NDArray[np.uint64]] = []
        self._means: dict[str, list[NDArray[np.float64]]] = {m.column: [] for m in MEASURES}
        self._worst: dict[str, list[NDArray[np.float64]]] = {m.column: [] for m in MEASURES}

    def add(self, rows: pa.Table) -> None:
        """Adds rows of whole clips."""
        first = np.flatnonzero(rows["frame_index"].to_numpy() == 0)
        frames = np.diff([*first, len(rows)])
        heads = rows.select(_HEAD).take(pa.array(first))
        for name in _CODED:
            at = heads.schema.get_field_index(name)
            heads = heads.set_column(at, name, heads[name].dictionary_encode())
        self._heads.append(heads)
        self._frames.append(frames)
        self._hashes.append(rows["phash"].fill_null(0).to_numpy()[first + frames // 2])
        for measure in MEASURES:
            values = rows[measure.column].to_numpy().astype(np.float64)  # NaN where null
            known = np.isfinite(values)
            count = np.add.reduceat(known.astype(np.int64), first)
            total = np.add.reduceat(np.where(known, values, 0), first)
            worst = (np.fmin if measure.worst == "low" else np.fmax).reduceat(values, first)
            self._means[measure.column].append(
                np.divide(total, count, out=np.full(len(first), np.nan), where=count > 0)
            )
            self._worst[measure.column].append(worst)

    def facts(self, histograms: dict[str, Histogram], classes: ClassFacts) -> Facts:
        means, worst = ({n: _joined(v, np.float64) for n, v in m.items()} for m in (self._means, self._worst))
        heads = pa.concat_tables(self._heads).unify_dictionaries() if self._heads else pa.table({"clip_id": []})
        frames_C, hash_C = _joined(self._frames, np.int64), _joined(self._hashes, np.uint64)
        return Facts(heads, frames_C, hash_C, means, worst, histograms, classes)


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _known(values: dict[str, NDArray[np.float64]], clip: int) -> dict[str, float]:
    return {name: float(of[clip]) for name, of in values.items() if np.isfinite(of[clip])}


def _valid(column: pa.ChunkedArray) -> NDArray[np.float32]:
    return np.asarray(column.drop_null().to_numpy(), np.float32)


def _histogram(parts: list[NDArray[np.float32]]) -> Histogram | None:
    values = np.concatenate(parts) if parts else np.empty(0, np.float32)
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    # Wide enough for bins that differ, whatever the values.
    counts, _ = np.histogram(values, BINS, (low, max(high, low + 1e-6 * max(1.0, abs(low)))))
    return Histogram(low, high, tuple(counts.tolist()))


class _Classes:
    """Counts per class."""

    def __init__(self) -> None:
        self._pixels, self._frames = np.zeros(65_536, np.int64), np.zeros(65_536, np.int64)
        self._together: dict[tuple[int, ...], int] = {}

    def add(self, rows: pa.Table, step: int) -> None:
        """Adds rows; every ``step``-th of them counts for classes that are seen together."""
        ids = rows["class_ids"].combine_chunks()
        flat = ids.flatten().to_numpy()
        pixels = rows["class_pixels"].combine_chunks().flatten().to_numpy()
        self._pixels += np.bincount(flat, weights=pixels, minlength=65_536).astype(np.int64)
        self._frames += np.bincount(flat, minlength=65_536)
        for shown in map(tuple, ids.take(pa.array(range(0, len(ids), step))).to_pylist()):
            self._together[shown] = self._together.get(shown, 0) + 1

    def facts(self) -> ClassFacts:
        ids = tuple(np.flatnonzero(self._frames).tolist())
        place = {class_id: k for k, class_id in enumerate(ids)}
        together_KK = np.zeros((len(ids), len(ids)), np.int64)
        for shown, count in self._together.items():
            at = [place[class_id] for class_id in shown]
            together_KK[np.ix_(at, at)] += count
        return ClassFacts(ids, self._pixels[list(ids)], self._frames[list(ids)], together_KK)
