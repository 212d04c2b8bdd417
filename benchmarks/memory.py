"""Memory of a way to render, in a process of its own: what another one has freed would hide what this one needs."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.original import build_engine
from benchmarks.subject import Subject, build_generator, make_clips
from benchmarks.timing import FROM_MAPS, LEAST_FRAMES, Variant
from flowreel.pipeline.generator.clips import render_clips

_RESET_PEAK = "5"  # see proc(5), /proc/pid/clear_refs


@dataclass(frozen=True)
class Memory:
    """Resident memory in MB (10**6 bytes)."""

    before_mb: float  # libraries and the plain networks' weights
    peak_mb: float  # at most from then on, while the engine was made and rendered

    @property
    def increase_mb(self) -> float:
        return self.peak_mb - self.before_mb


def measure_apart(subject: Subject, variant: Variant) -> Memory:
    """``measure`` in a process of its own, with as many threads as this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, subject, variant, torch.get_num_threads()).result()


def measure(subject: Subject, variant: Variant, threads: int) -> Memory:
    """Builds the variant in this process and renders as many frames as it looks ahead. Linux only."""
    torch.set_num_threads(threads)
    generator = build_generator(subject)
    before_mb = _status_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    engine = build_engine(generator, variant.kind, variant.precision)
    length = generator.config.n_frames - 1 + max(LEAST_FRAMES, engine.ahead)
    clips = make_clips(subject, generator.config, variant.batch, length)
    render_clips(engine, clips, FROM_MAPS)
    return Memory(before_mb, _status_mb("VmHWM"))


def per_clip_mb(batches: Sequence[int], peaks_mb: Sequence[float]) -> float | None:
    """What one more clip in lock-step costs: the slope of the line through the peaks. None without two batches."""
    if len(set(batches)) < 2:
        return None
    return float(np.polynomial.Polynomial.fit(batches, peaks_mb, 1).convert().coef[1])


def _status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024 / 1e6
    raise KeyError(f"/proc/self/status has no {field}")
