"""Renders what a comparison compares, and puts it into numbers."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from flowreel.pipeline.evaluation.comparison import OURS, REAL, Comparison
from flowreel.pipeline.evaluation.measures import Drift, Measures, diversity, drift, measure, there_and_back
from flowreel.pipeline.evaluation.methods import Rgb

SHORT, LONG = 30, 120  # frames in which drift is looked for
Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class Rendered:
    """Holds videos (T, H, W, 3), everywhere in the comparison's order."""

    made: dict[str, list[Rgb]]  # by each method, of the real sequences
    longer: list[Rgb]  # ours, of at least LONG frames: the labels there and back
    styles: list[list[Rgb]]  # ours, after each exemplar


def render(comparison: Comparison, progress: Progress) -> Rendered:
    """Renders all videos from nothing, but for the styles. ``progress`` counts frames."""
    ours, *others = comparison.methods
    orders = _long_orders(comparison)
    whole = [range(len(v.label_THW)) for v in comparison.videos]
    styled = [len(v.label_THW) * len(comparison.exemplars[v.name]) for v in comparison.videos]
    total, done = sum(map(len, orders)) + len(others) * sum(map(len, whole)) + sum(styled), 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    longer = [ours.render(v, order, tick) for v, order in zip(comparison.videos, orders, strict=True)]
    made = {OURS: [frames[: len(order)] for frames, order in zip(longer, whole, strict=True)]}
    for method in others:
        made[method.name] = [method.render(v, order, tick) for v, order in zip(comparison.videos, whole, strict=True)]
    styles = [ours.render_styles(v, comparison.exemplars[v.name], tick) for v in comparison.videos]
    return Rendered(made, longer, styles)


def evaluate(comparison: Comparison, rendered: Rendered, progress: Progress) -> dict[str, Any]:
    """Gives all numbers, as they are written to evaluation.json. ``progress`` counts methods.

    Raises UsageError for videos that cannot be measured: of one frame, or without a class that the segmenter knows.
    """
    real = [v.image_THW3 for v in comparison.videos]
    labels = [v.label_THW for v in comparison.videos]
    shown, measures = {REAL: real, **rendered.made}, dict[str, Measures]()
    for name, videos in shown.items():
        measures[name] = measure(videos, real, labels, comparison.segmenter)
        progress(len(measures), len(shown))
    ours = comparison.methods[0].engine
    return {
        "size": [real[0].shape[2], real[0].shape[1]],
        "parameters": sum(p.numel() for p in ours.generator.parameters()),
        "sequences": {v.name: len(v.label_THW) for v in comparison.videos},
        "second": comparison.second,
        "methods": {name: asdict(m) | {"relative": _relative(m, measures[REAL])} for name, m in measures.items()},
        "diversity": _diversity(comparison, rendered),
        "drift": {length: _drift(comparison, rendered.longer, length) for length in (SHORT, LONG)},
        "segmenter": comparison.segmenter.facts.model_dump(mode="json"),
        "notices": comparison.notices,
    }


def _relative(found: Measures, real: Measures) -> dict[str, float]:
    """Divides by the real frames' values."""
    names = [f.name for f in fields(Measures) if f.name not in ("iou", "l1")]
    return {name: getattr(found, name) / max(getattr(real, name), 1e-9) for name in names}


def _diversity(comparison: Comparison, rendered: Rendered) -> dict[str, float] | None:
    """Compares the render from nothing with those after exemplars; None without other sequences to take one from."""
    pairs = zip(rendered.made[OURS], rendered.styles, strict=True)
    spread = [diversity([own, *others], comparison.second) for own, others in pairs if others]
    if not spread:
        return None
    whole, last = np.mean(spread, axis=0).tolist()
    return {"styles": len(rendered.styles[0]) + 1, "whole": whole, "last_second": last}


def _drift(comparison: Comparison, longer: list[Rgb], length: int) -> dict[str, float]:
    """Gives the drift within the first ``length`` frames of the long renders; means over the videos."""
    found = []
    for video, frames, order in zip(comparison.videos, longer, _long_orders(comparison), strict=True):
        found.append(drift(frames[:length], video.image_THW3[order[:length]], comparison.second))
    return {f.name: float(np.mean([getattr(d, f.name) for d in found])) for f in fields(Drift)}


def _long_orders(comparison: Comparison) -> list[list[int]]:
    lengths = [len(v.label_THW) for v in comparison.videos]
    return [there_and_back(length, max(LONG, length)) for length in lengths]
