"""How far the fast path is from the plain networks in float64, in each of its precisions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.original import Kind, build_engine
from benchmarks.subject import Subject, build_generator, make_clips
from benchmarks.timing import PLAIN, Tell, Variant
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import Engine, PlainEngine
from flowreel.pipeline.generator.rollout import Frame, RolloutState

PEAK = 2.0  # images are in [-1, 1]
LEAST_ERROR = 1e-20  # mean square: below it, what differs is float64's own rounding
LEVELS = 127.5  # of 8 bits, per unit of an image


@dataclass(frozen=True)
class Deviation:
    """Of an engine's frames from the reference's, before they are rounded to 8 bits."""

    kind: Kind
    precision: str
    psnr_T: tuple[float, ...] = ()  # dB, per frame
    furthest: float = 0.0  # largest difference of a value, in levels of 8 bits
    failed: str = ""  # why there are no frames

    @property
    def worst_db(self) -> float:
        return min(self.psnr_T)

    @property
    def mean_db(self) -> float:
        return sum(self.psnr_T) / len(self.psnr_T)


class Recorded:
    """An engine that keeps what it renders as the networks gave it."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.config, self.generator = engine, engine.config, engine.generator
        self.ahead, self.concurrent = engine.ahead, False  # pictures are kept in order
        self.images: list[Tensor] = []

    def encode(self, frame: Tensor, instance_BHW: Tensor | None) -> Any:
        return self.engine.encode(frame, instance_BHW)

    def prepare(self, windows: Sequence[Sequence[Any]]) -> list[Any]:
        return self.engine.prepare(windows)

    def step(self, state: RolloutState, looked: Any) -> tuple[RolloutState, Frame]:
        state, frame = self.engine.step(state, looked)
        self.images.append(frame.image_B3HW.double())
        return state, frame


def deviations(subject: Subject, precisions: Sequence[str], frames: int, tell: Tell) -> Iterator[Deviation]:
    """Renders a clip of ``frames`` frames by the plain networks in float64, then as it is compared with that.

    First by the plain networks in float32, which shows what rounding alone does, then fast in each precision.
    """
    generator = build_generator(subject)
    clip = make_clips(subject, generator.config, 1, frames)[0]
    tell(f"deviation: {frames} frames, plain, float64")
    wanted = _images(PlainEngine(build_generator(subject).double()), clip)
    for variant in (PLAIN, *(Variant("fast", precision, 1) for precision in precisions)):
        kind, precision = variant.kind, variant.precision
        tell(f"deviation: {frames} frames, {kind}, {precision}")
        try:
            made = _images(build_engine(generator, kind, precision), clip)
        except (ValueError, RuntimeError) as error:  # not on this machine; or not finite
            yield Deviation(kind, precision, failed=str(error).splitlines()[0])
            continue
        pairs = list(zip(made, wanted, strict=True))
        furthest = max(float((a - b).abs().max()) for a, b in pairs)
        yield Deviation(kind, precision, tuple(psnr_db(a, b) for a, b in pairs), furthest * LEVELS)


def psnr_db(image: Tensor, wanted: Tensor) -> float:
    """Peak signal-to-noise ratio of images in [-1, 1], in dB."""
    error = (image - wanted).square().mean().clamp(min=LEAST_ERROR)
    return float(10 * torch.log10(PEAK**2 / error))


def _images(engine: Engine, clip: Conditioning) -> list[Tensor]:
    recorded = Recorded(engine)
    render_clips(recorded, [clip], RenderOptions(lead_in="repeat"))
    return recorded.images
