"""How long variants of the renderer take, and what the machine could do at most in that time."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numba.core.dispatcher import Dispatcher
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.original import Kind
from benchmarks.subject import empty_generator
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.generator.engine import DTYPES, Engine, engine_for
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.generator.rollout import start_from, step

MATMUL_SIDE, MATMULS = 2048, 3  # rows and columns; multiplications per round
LEAST_FRAMES = 2  # to get to know a variant: the first one has nothing to warp
FROM_MAPS = RenderOptions(lead_in="drop")

Tell = Callable[[str], None]  # of progress


@dataclass(frozen=True)
class Variant:
    """A way to render."""

    kind: Kind
    precision: str
    batch: int  # clips in lock-step

    def __str__(self) -> str:
        return f"{self.kind}, {self.precision}, batch {self.batch}"


ORIGINAL = Variant("original", "float32", 1)  # what all others are compared with
PLAIN = Variant("plain", "float32", 1)


@dataclass(frozen=True)
class Prepared:
    """What an engine costs before its first frame."""

    engine: Engine
    build_s: float  # weights transformed
    kernels_s: float  # loops compiled, or loaded from numba's cache
    compiled: int  # loops
    loaded: int


@dataclass(frozen=True)
class Rounds:
    """One number per round, in the order in which the rounds were."""

    seconds: Mapping[Variant, list[float]]  # per frame of a clip
    matmul_s: Mapping[str, list[float]]  # by precision: of the fastest multiplication of the round

    def ratios(self, variant: Variant) -> list[float]:
        """How many times as fast as the original, within each round."""
        return [o / v for o, v in zip(self.seconds[ORIGINAL], self.seconds[variant], strict=True)]

    def matmul_flop_s(self, precision: str) -> float:
        """The best of all rounds, in FLOP/s."""
        return float(2 * MATMUL_SIDE**3 / min(self.matmul_s[precision]))


def prepare(generator: VideoGenerator, precision: str) -> Prepared:
    """The fast engine, with the time that it takes until it could start.

    Time for kernels: the first rendering of a clip of the smallest size, less the second one.
    """
    began = time.perf_counter()
    engine = engine_for(generator, precision, kind="fast")
    build_s = time.perf_counter() - began
    clips, before = [_smallest(generator.config)], _kernels()
    first_s, second_s = _render_s(engine, clips), _render_s(engine, clips)
    compiled, loaded = (after - earlier for after, earlier in zip(_kernels(), before, strict=True))
    return Prepared(engine, build_s, max(0.0, first_s - second_s), compiled, loaded)


def run_rounds(engines: Mapping[Variant, Engine], clips: Sequence[Conditioning], rounds: int, tell: Tell) -> Rounds:
    """Times each variant once per round, after frames that do not count. Each round begins with another variant."""
    variants = list(engines)
    for i, variant in enumerate(variants):
        tell(f"warm-up {i + 1}/{len(variants)}: {variant}")
        _render_s(engine := engines[variant], [_begun(clip, engine) for clip in clips[: variant.batch]])
    seconds: dict[Variant, list[float]] = {variant: [] for variant in variants}
    matmul_s: dict[str, list[float]] = {variant.precision: [] for variant in variants}
    for turn in range(rounds):
        for precision, measured in matmul_s.items():
            measured.append(_matmul_s(DTYPES[precision]))
        first = turn % len(variants)
        for variant in [*variants[first:], *variants[:first]]:
            spent = _render_s(engines[variant], clips[: variant.batch])
            seconds[variant].append(spent / (variant.batch * _rendered(clips[0], engines[variant].config)))
            tell(f"round {turn + 1}/{rounds}: {variant}: {seconds[variant][-1]:.3f} s a frame")
    return Rounds(seconds, matmul_s)


def plain_flop(config: GeneratorConfig, size: tuple[int, int]) -> int:
    """Floating-point operations of a frame's convolutions, and of nothing else, in the networks as they are written.

    A multiplication and an addition are two.
    """
    width, height = size
    with torch.inference_mode():
        meta = torch.empty(1, config.n_frames, config.frame_channels, height, width, device="meta")
        state = start_from(config, meta.new_empty(1, config.n_frames - 1, 3, height, width))
        with FlopCounterMode(display=False) as counter:
            step(empty_generator(config), state, meta)
    return int(counter.get_total_flops())


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def _render_s(engine: Engine, clips: Sequence[Conditioning]) -> float:
    """Seconds from maps in memory to frames in memory."""
    began = time.perf_counter()
    render_clips(engine, clips, FROM_MAPS)
    return time.perf_counter() - began


def _begun(clip: Conditioning, engine: Engine) -> Conditioning:
    """The clip's first frames, as many as the engine looks at together."""
    frames = engine.config.n_frames - 1 + max(LEAST_FRAMES, engine.ahead)
    instance_THW, picture_TLHW = clip.instance_THW, clip.picture_TLHW
    return replace(
        clip,
        label_THW=clip.label_THW[:frames],
        instance_THW=None if instance_THW is None else instance_THW[:frames],
        picture_TLHW=None if picture_TLHW is None else picture_TLHW[:frames],
    )


def _rendered(clip: Conditioning, config: AnyConfig) -> int:
    """Frames: the T-1 first ones are only looked at."""
    return len(clip.label_THW) - (config.n_frames - 1)


def _matmul_s(dtype: torch.dtype) -> float:
    """Seconds of a multiplication of square matrices, the best of some."""
    a = torch.randn(MATMUL_SIDE, MATMUL_SIDE).to(dtype)
    torch.mm(a, a)
    best = float("inf")
    for _ in range(MATMULS):
        began = time.perf_counter()
        torch.mm(a, a)
        best = min(best, time.perf_counter() - began)
    return best


def _smallest(config: AnyConfig) -> Conditioning:
    """Noise at the smallest size that the networks take, with all label ids."""
    side, rng = 2 * config.size_multiple, np.random.default_rng(0)
    shape = (config.n_frames, side, side)
    label_THW = rng.integers(0, max(1, config.label_nc), shape).astype(np.uint8)
    picture = None
    if not config.label_nc:
        picture = rng.uniform(-1, 1, (config.n_frames, config.input_nc, side, side)).astype(np.float32)
    return Conditioning(label_THW, label_THW, picture_TLHW=picture)


def _kernels() -> tuple[int, int]:
    """How many of the fast path's loops were compiled and how many loaded by this process so far."""
    modules = [module for name, module in sys.modules.items() if name.startswith("flowreel.pipeline.generator.fast")]
    loops = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)}
    misses = sum(sum(loop.stats.cache_misses.values()) for loop in loops.values())
    return misses, sum(sum(loop.stats.cache_hits.values()) for loop in loops.values())
