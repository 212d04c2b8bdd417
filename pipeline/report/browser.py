"""Data for the page's script: clips in columns, distributions, gates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flowreel.pipeline.quality.gates import bounds_of
from flowreel.pipeline.report.facts import ClipFacts, Histogram
from flowreel.pipeline.report.measures import Measure
from flowreel.pipeline.report.pick_clips import near_duplicates
from flowreel.pipeline.report.players import Player
from flowreel.schemas.quality import QualitySpec

SHOWN_ON_CARDS = ("warp_error", "label_agreement", "label_edges", "sharpness")


def browser(
    clips: Sequence[ClipFacts], players: Mapping[int, Player], measures: Sequence[Measure], root: str
) -> dict[str, Any]:
    """Collects the clips for the page's script. ``players``: by place in ``clips``, all of which are listed.
    ``root``: what links to data begin with."""
    keys = [m.column for m in measures]
    return {
        "measures": [{"key": m.column, "title": m.title, "meaning": m.meaning, "worst": m.worst} for m in measures],
        "card": [key for key in SHOWN_ON_CARDS if key in keys] or keys,
        "clips": {
            "id": [c.clip_id for c in clips],
            "sequence": [c.sequence_id for c in clips],
            "variant": [c.variant for c in clips],
            "split": [c.split for c in clips],
            "start": [round(c.start_s, 3) for c in clips],
            "frames": [c.frames for c in clips],
            "shard": [c.shard for c in clips],
            "row_group": [c.row_group for c in clips],
            "link": [f"{root}/{c.shard}" for c in clips],
            "mean": {key: [_short(c.means.get(key)) for c in clips] for key in keys},
            "worst": {key: [_short(c.worst.get(key)) for c in clips] for key in keys},
        },
        "alike": near_duplicates(np.array([clip.hash for clip in clips], np.uint64)),
        "posters": {i: player.poster for i, player in players.items()},
        "series": {i: player.series for i, player in players.items()},
    }


def plots(histograms: Mapping[str, Histogram], quality: QualitySpec | None) -> dict[str, Any]:
    """Collects distributions, and the gates that are drawn into them."""
    gates: dict[str, dict[str, float]] = {}
    for bound in bounds_of(quality) if quality else []:
        gates.setdefault(bound.column, {})[bound.side] = bound.value
    bars = {name: {"low": h.low, "high": h.high, "counts": h.counts} for name, h in histograms.items()}
    return {"histograms": bars, "gates": gates}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
