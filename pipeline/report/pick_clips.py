"""Picks clips that stand out, clips that look the same, and clips to show as video."""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.quality.perceptual_hash import hamming_distance
from flowreel.pipeline.report.facts import Facts
from flowreel.pipeline.report.measures import MEASURES, Measure

FAR = 3.5  # robust standard deviations from the median (Iglewicz and Hoaglin, 1993)
FEW = 8  # of so few clips, none is far from the others
ALIKE = 5  # of 64 bits
NAMED = 20  # clips listed as looking like one
BLOCK = 512


def outliers(facts: Facts, places: Sequence[int]) -> dict[int, list[str]]:
    """Lists the measures by which clips are far from the others, on the bad side, by position in ``places``."""
    found: dict[int, list[str]] = {}
    for measure in MEASURES:
        values = facts.means[measure.column]
        known = values[np.isfinite(values)]
        if len(known) < FEW:
            continue
        spread = 1.4826 * np.median(np.abs(known - np.median(known))) or np.inf
        scores = (values[list(places)] - np.median(known)) / spread
        bad = {"high": scores, "low": -scores, "both": np.abs(scores)}[measure.worst]
        for k in np.flatnonzero(bad > FAR).tolist():
            found.setdefault(k, []).append(measure.column)
    return found


def near_duplicates(hash_N: NDArray[np.uint64]) -> dict[int, list[int]]:
    """Lists for each clip the others whose middle frames look alike; 0 is no hash."""
    found: dict[int, list[int]] = {}
    for start in range(0, len(hash_N), BLOCK):
        some = hash_N[start : start + BLOCK, None]
        near = (hamming_distance(some, hash_N[None]) <= ALIKE) & (some != 0) & (hash_N != 0)
        for i in np.flatnonzero(near.sum(axis=1) > 1).tolist():
            found[start + i] = [j for j in np.flatnonzero(near[i])[: NAMED + 1].tolist() if j != start + i][:NAMED]
    return found


def shown(facts: Facts, most: int) -> list[int]:
    """Picks the places of up to ``most`` clips: worst and best by each measure in turn, and a sample."""
    worst = _in_turn(_ranked(facts, measure, most, worst_first=True) for measure in MEASURES)
    best = _in_turn(_ranked(facts, measure, most, worst_first=False) for measure in MEASURES)
    sample = pc.sort_indices(facts.heads["clip_id"])[:most].to_pylist()  # ids are hashes: any order of theirs is random
    chosen: dict[int, None] = {}
    for place in chain.from_iterable(zip_longest(worst, sample, best)):
        if place is not None:
            chosen.setdefault(place)
        if len(chosen) >= min(most, facts.clip_count):
            break
    return list(chosen)


def _ranked(facts: Facts, measure: Measure, most: int, worst_first: bool) -> list[int]:
    values = facts.means[measure.column]
    falling = worst_first == (measure.worst != "low")
    order = np.argsort(-values if falling else values, kind="stable")  # NaN last
    return [place for place in order[:most].tolist() if np.isfinite(values[place])]


def _in_turn(rankings: Iterator[list[int]]) -> Iterator[int]:
    """Yields the first of each ranking, then the second of each, and so on."""
    for places in zip_longest(*rankings):
        yield from (i for i in places if i is not None)
