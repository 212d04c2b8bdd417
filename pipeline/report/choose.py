"""Which clips stand out, which look the same, and which are shown as video."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import numpy as np

from pipeline.quality.fingerprint import apart
from pipeline.report.facts import ClipFacts
from pipeline.report.measures import MEASURES, Measure

FAR = 3.5  # robust standard deviations from the median (Iglewicz and Hoaglin, 1993)
ALIKE = 5  # of 64 bits
COMPARED = 10_000  # clips that are compared with each other
BLOCK = 512


def outliers(clips: Sequence[ClipFacts]) -> dict[int, list[str]]:
    """Per clip (its place in ``clips``) the measures by which it is far from the others, on the bad side."""
    found: dict[int, list[str]] = {}
    for measure in MEASURES:
        at = [i for i, clip in enumerate(clips) if measure.column in clip.means]
        values = np.array([clips[i].means[measure.column] for i in at])
        if len(values) < 8:  # of so few, none is far from the others
            continue
        middle = np.median(values)
        spread = 1.4826 * np.median(np.abs(values - middle)) or np.inf
        scores = (values - middle) / spread
        bad = {"high": scores, "low": -scores, "both": np.abs(scores)}[measure.worst]
        for k in np.flatnonzero(bad > FAR):
            found.setdefault(at[k], []).append(measure.column)
    return found


def near_duplicates(clips: Sequence[ClipFacts]) -> dict[int, list[int]]:
    """Per clip the others whose middle frames look alike, among the first ``COMPARED``."""
    hashes = np.array([clip.hash for clip in clips[:COMPARED]], np.uint64)
    found: dict[int, list[int]] = {}
    for start in range(0, len(hashes), BLOCK):
        near = apart(hashes[start : start + BLOCK, None], hashes[None]) <= ALIKE
        for i, j in zip(*np.nonzero(near), strict=True):
            if start + i != j and hashes[j]:
                found.setdefault(int(start + i), []).append(int(j))
    return found


def shown(clips: Sequence[ClipFacts], most: int) -> list[int]:
    """Places of up to ``most`` clips: worst and best by each measure in turn, and an even sample."""
    worst = _in_turn(_ranked(clips, measure, worst_first=True) for measure in MEASURES)
    best = _in_turn(_ranked(clips, measure, worst_first=False) for measure in MEASURES)
    sample = sorted(range(len(clips)), key=lambda i: hashlib.sha256(clips[i].clip_id.encode()).digest())
    chosen: dict[int, None] = {}
    for i in chain.from_iterable(zip_longest(worst, sample, best)):
        if i is not None:
            chosen.setdefault(i)
        if len(chosen) >= min(most, len(clips)):
            break
    return list(chosen)


def _ranked(clips: Sequence[ClipFacts], measure: Measure, worst_first: bool) -> list[int]:
    at = [i for i, clip in enumerate(clips) if measure.column in clip.means]
    return sorted(at, key=lambda i: clips[i].means[measure.column], reverse=worst_first == (measure.worst != "low"))


def _in_turn(rankings: Iterator[list[int]]) -> Iterator[int]:
    """The first of each ranking, then the second of each, ..."""
    for places in zip_longest(*rankings):
        yield from (i for i in places if i is not None)
