"""The section on styles: how far variants differ, measured on some scenes that several of them show."""

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.quality.style_distance import StyleStrength, style_strength
from flowreel.pipeline.report.facts import Facts
from flowreel.pipeline.report.players import read_clip

SCENES = 3  # measured
VARIANTS = 8


def strength(version: Version, facts: Facts) -> StyleStrength | None:
    """Measures style strength; None where no scene is shown in two variants."""
    if facts.clip_count < 2:
        return None
    heads = facts.heads.select(["sequence_id", "timestamp_s", "variant"]).to_pylist()
    scenes: defaultdict[tuple[str, float], dict[int, int]] = defaultdict(dict)
    for clip, head in enumerate(heads):
        if head["variant"] < VARIANTS:
            scenes[head["sequence_id"], head["timestamp_s"]][head["variant"]] = clip
    most = sorted((s for s in scenes.values() if len(s) > 1), key=lambda s: (-len(s), min(s.values())))[:SCENES]
    if not most:
        return None
    return style_strength([{v: _images(version, facts, clip) for v, clip in scene.items()} for scene in most])


def rows(found: StyleStrength | None) -> list[dict[str, Any]]:
    """Gives a row per variant for the page."""
    if found is None:
        return []
    return [
        {
            "variant": variant,
            "within": f"{found.within_V[i]:.1f}",
            "between": ["" if np.isnan(d) or i == j else f"{d:.1f}" for j, d in enumerate(found.between_VV[i])],
        }
        for i, variant in enumerate(found.variants)
    ]


def _images(version: Version, facts: Facts, clip: int) -> NDArray[np.uint8]:
    (of_clip,) = facts.clips([clip])
    return read_clip(version, of_clip).image_THW3
