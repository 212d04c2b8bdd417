"""Styles x edits: which of all pairs each piece of a sequence is rendered in."""

import hashlib
from itertools import product

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.planning.spans import Spans
from flowreel.schemas.variants import Matrix, Variant


def all_combinations(rule: Matrix) -> tuple[Variant, ...]:
    """All variants of a matrix: each style with each list of edits."""
    return tuple(
        Variant(style=style.style, edits=edited.edits, seed=style.seed, light=style.light)
        for style, edited in product(rule.styles, rule.edits)
    )


def sample(rule: Matrix, pieces: Spans, seed: int) -> NDArray[np.int32]:
    """(P, K): K different variants per piece, by their weights (Efraimidis and Spirakis, 2006). A piece's follow from
    its name, so that they stay when other sequences come or go."""
    weight_V = np.array([style.weight * edited.weight for style, edited in product(rule.styles, rule.edits)])
    count = min(rule.per_clip, int((weight_V > 0).sum()))
    names = pieces.sequences.ids.to_pylist()
    chosen_PK = np.empty((len(pieces), count), np.int32)
    for p, (s, start) in enumerate(zip(pieces.sequence_P.tolist(), pieces.start_P.tolist(), strict=True)):
        drawn_from = hashlib.sha256(f"{seed} {start} {names[s]}".encode()).digest()
        luck_V = np.random.default_rng(int.from_bytes(drawn_from[:8], "big")).random(len(weight_V))
        with np.errstate(divide="ignore"):
            key_V = np.where(weight_V > 0, -np.log(luck_V) / weight_V, np.inf)
        chosen_PK[p] = np.sort(np.argsort(key_V, kind="stable")[:count])
    return chosen_PK
