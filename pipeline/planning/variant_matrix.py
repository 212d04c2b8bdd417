"""Styles x edits: chooses which of all combinations each span of a sequence is rendered in."""

import hashlib
from itertools import product

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.planning.spans import Spans
from flowreel.schemas.variants import Matrix, Variant


def all_combinations(rule: Matrix) -> tuple[Variant, ...]:
    """Gives all variants of a matrix: each style with each list of edits."""
    return tuple(
        Variant(style=style.style, edits=edited.edits, seed=style.seed, light=style.light)
        for style, edited in product(rule.styles, rule.edits)
    )


def sample(rule: Matrix, spans: Spans, seed: int) -> NDArray[np.int32]:
    """Samples K different variants per span by their weights, (P, K) (Efraimidis and Spirakis, 2006).

    A span's variants follow from its name, so that they stay when other sequences come or go.
    """
    weight_V = np.array([style.weight * edited.weight for style, edited in product(rule.styles, rule.edits)])
    count = min(rule.per_clip, int((weight_V > 0).sum()))
    names = spans.sequences.ids.to_pylist()
    chosen_PK = np.empty((len(spans), count), np.int32)
    for p, (s, start) in enumerate(zip(spans.sequence_P.tolist(), spans.start_P.tolist(), strict=True)):
        digest = hashlib.sha256(f"{seed} {start} {names[s]}".encode()).digest()
        luck_V = np.random.default_rng(int.from_bytes(digest[:8], "big")).random(len(weight_V))
        with np.errstate(divide="ignore"):
            key_V = np.where(weight_V > 0, -np.log(luck_V) / weight_V, np.inf)
        chosen_PK[p] = np.sort(np.argsort(key_V, kind="stable")[:count])
    return chosen_PK
