"""Renders what a contest compares, and puts it into numbers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from benchmarks.contest import OURS, REAL, Contest
from benchmarks.measures import Drift, Measures, diversity, drift, measure, there_and_back
from benchmarks.methods import Rgb, Tick
from flowreel.jobs.terminal.progress import Display

SHORT, LONG = 30, 120  # frames that drift is looked for in
SAID_EVERY_S = 10.0


@dataclass(frozen=True)
class Rendered:
    """Videos (T, H, W, 3), everywhere in the contest's order."""

    made: dict[str, list[Rgb]]  # by each method, of the real sequences
    longer: list[Rgb]  # ours, of LONG frames at least: the labels there and back
    styles: list[list[Rgb]]  # ours, after each exemplar


def render(contest: Contest, display: Display) -> Rendered:
    """Everything from nothing, but for the styles."""
    ours, *others = contest.methods
    orders = _long_orders(contest)
    whole = [range(len(v.label_THW)) for v in contest.videos]
    styled = [len(v.label_THW) * len(contest.exemplars[v.name]) for v in contest.videos]
    total = sum(map(len, orders)) + len(others) * sum(map(len, whole)) + sum(styled)
    with _progress(display, "rendering", total) as tick:
        longer = [ours.render(v, order, tick) for v, order in zip(contest.videos, orders, strict=True)]
        made = {OURS: [frames[: len(order)] for frames, order in zip(longer, whole, strict=True)]}
        for method in others:
            made[method.name] = [method.render(v, order, tick) for v, order in zip(contest.videos, whole, strict=True)]
        styles = [ours.render_styles(v, contest.exemplars[v.name], tick) for v in contest.videos]
    return Rendered(made, longer, styles)


def evaluate(contest: Contest, rendered: Rendered, display: Display) -> dict[str, Any]:
    """All numbers, as they are written to the JSON file."""
    real = [v.image_THW3 for v in contest.videos]
    labels = [v.label_THW for v in contest.videos]
    shown, measures = {REAL: real, **rendered.made}, dict[str, Measures]()
    with _progress(display, "measuring", len(shown)) as tick:
        for name, videos in shown.items():
            measures[name] = measure(videos, real, labels, contest.segmenter)
            tick(1)
    ours = contest.methods[0].engine
    return {
        "size": [real[0].shape[2], real[0].shape[1]],
        "parameters": sum(p.numel() for p in ours.generator.parameters()),
        "sequences": {v.name: len(v.label_THW) for v in contest.videos},
        "second": contest.second,
        "methods": {name: asdict(m) | {"relative": _relative(m, measures[REAL])} for name, m in measures.items()},
        "diversity": _diversity(contest, rendered),
        "drift": {length: _drift(contest, rendered.longer, length) for length in (SHORT, LONG)},
        "segmenter": contest.segmenter.facts.model_dump(mode="json"),
        "notices": contest.notices,
    }


def _relative(found: Measures, real: Measures) -> dict[str, float]:
    """By the real frames' value."""
    names = [f.name for f in fields(Measures) if f.name not in ("iou", "l1")]
    return {name: getattr(found, name) / max(getattr(real, name), 1e-9) for name in names}


def _diversity(contest: Contest, rendered: Rendered) -> dict[str, float] | None:
    """Between the start from nothing and the exemplars; None where there is no other sequence to take one from."""
    pairs = zip(rendered.made[OURS], rendered.styles, strict=True)
    spread = [diversity([own, *others], contest.second) for own, others in pairs if others]
    if not spread:
        return None
    whole, last = np.mean(spread, axis=0).tolist()
    return {"styles": len(rendered.styles[0]) + 1, "whole": whole, "last_second": last}


def _drift(contest: Contest, longer: list[Rgb], length: int) -> dict[str, float]:
    """Of the first ``length`` frames of the long renders; means over the videos."""
    found = []
    for video, frames, order in zip(contest.videos, longer, _long_orders(contest), strict=True):
        found.append(drift(frames[:length], video.image_THW3[order[:length]], contest.second))
    return {f.name: float(np.mean([getattr(d, f.name) for d in found])) for f in fields(Drift)}


def _long_orders(contest: Contest) -> list[list[int]]:
    lengths = [len(v.label_THW) for v in contest.videos]
    return [there_and_back(length, max(LONG, length)) for length in lengths]


@contextmanager
def _progress(display: Display, what: str, total: int) -> Iterator[Tick]:
    """A bar on a terminal, lines elsewhere; the value is told of n more."""
    done, said = 0, time.monotonic()
    with display.task(what) as bar:

        def tick(more: int) -> None:
            nonlocal done, said
            done += more
            bar(done, total)
            if not display.live and time.monotonic() - said > SAID_EVERY_S:
                said = time.monotonic()
                display.say(f"{what}: {done} of {total}")

        yield tick
