"""Assigns sequences to splits: by their names alone, so that they stay when others come or go, and no split empty."""

from collections import Counter
from collections.abc import Iterable, Mapping

from flowreel.pipeline.identity import split_of, split_point
from flowreel.schemas.sequence import Sequences


def assign_splits(sequences: Sequences, shares: Mapping[str, float], kept: Mapping[str, str]) -> list[str]:
    """Gives the split of each sequence. ``kept``: of sequences that are published under the same ``shares``; they stay.

    Pieces of one recording share its split. A new recording's name is hashed to a point in [0, 1), which the shares
    divide among the splits. If that leaves a split empty, it gets the new recording whose point is nearest to its part
    of the range, from a split that has others; so no more move than there are empty splits.
    """
    names = (sequences.ids if sequences.recordings is None else sequences.recordings).to_pylist()
    found: dict[str, str] = {}
    for sequence_id, name in zip(sequences.ids.to_pylist(), names, strict=True):
        if sequence_id in kept:
            found.setdefault(name, kept[sequence_id])
    free = [name for name in dict.fromkeys(names) if name not in found]
    found |= {name: split_of(name, shares) for name in free}
    _fill(found, free, shares)
    return [found[name] for name in names]


def _fill(found: dict[str, str], free: list[str], shares: Mapping[str, float]) -> None:
    """Moves one of the ``free`` recordings into each split that has a share and is empty, where there are enough."""
    members = Counter(found.values())
    points: dict[str, float] = {}
    edge = 0.0
    for split, share in shares.items():
        low, edge = edge, edge + share
        if not share or members[split]:
            continue
        points = points or {name: split_point(name) for name in free}
        able = [name for name in free if members[found[name]] > 1]
        if able:
            nearest = min(able, key=lambda name: (max(low - points[name], points[name] - edge), points[name], name))
            members[found[nearest]] -= 1
            members[split] += 1
            found[nearest] = split


def sequences_per_split(splits: Iterable[str], shares: Mapping[str, float]) -> dict[str, int]:
    """Counts the sequences of each split, of those without any too."""
    counts = Counter(splits)
    return {name: counts[name] for name in dict.fromkeys([*shares, *counts]) if shares.get(name) or counts[name]}


def empty_splits(counts: Mapping[str, int], shares: Mapping[str, float]) -> list[str]:
    """Words the splits that have a share and no sequence. ``counts``: how many sequences each has."""
    return [
        f"split '{name}' has a share of {share:g}, but no sequence: it gets one when there are new recordings enough"
        for name, share in shares.items()
        if share > 0 and not counts.get(name)
    ]
