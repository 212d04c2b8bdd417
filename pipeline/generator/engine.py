"""Engines compute a generator's frames. All give the same numbers up to rounding, at different speeds."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from flowreel.pipeline.generator.adaptive.generator import AdaptiveGenerator
from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.generator.conditioning import encode_frames
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.generator.families import AnyGenerator
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.generator.rollout import Frame, RolloutState, step
from flowreel.schemas.extras import require
from flowreel.schemas.plan import RenderSettings

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Kind = Literal["auto", "plain", "fast"]


class Engine(Protocol):
    """An engine, which steps B clips through time in lock-step.

    What ``encode`` and ``prepare`` return is the engine's own format, to be passed back to it.
    """

    ahead: int  # windows that ``prepare`` likes to be given at once
    concurrent: bool  # whether several threads may call it at once

    @property
    def config(self) -> AnyConfig:
        """Gives the generator's config."""

    @property
    def generator(self) -> AnyGenerator:
        """Gives the networks with their weights."""

    def encode(self, frame: Tensor, instance_BHW: Tensor | None) -> Any:
        """Encodes one frame of all clips: label ids (B, H, W), checked before; pictures (B, L, H, W) without labels."""

    def prepare(self, windows: Sequence[Sequence[Any]]) -> list[Any]:
        """Does, for windows of T encoded frames, all work on their last frames that needs no rendered frame."""

    def step(self, state: RolloutState, prepared: Any) -> tuple[RolloutState, Frame]:
        """Renders a frame of each clip."""


class PlainEngine:
    """The networks as they are written down: the reference for all others, and the engine for GPUs."""

    ahead = 1
    concurrent = True

    def __init__(self, generator: AnyGenerator, precision: str = "float32") -> None:
        self.config: AnyConfig = generator.config
        self.generator, self.precision = generator, precision
        # Transposed convolutions are up to 5 times as fast in this layout; the others gain little, and norms of nearly
        # constant maps lose digits in it.
        for module in generator.modules():
            if isinstance(module, nn.ConvTranspose2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)

    def encode(self, frame: Tensor, instance_BHW: Tensor | None) -> Tensor:
        dtype = next(self.generator.parameters()).dtype
        return encode_frames(frame, instance_BHW, self.config).to(dtype)

    def prepare(self, windows: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        return [torch.stack(tuple(window), dim=1) for window in windows]

    def step(self, state: RolloutState, prepared: Tensor) -> tuple[RolloutState, Frame]:
        dtype, reduced = DTYPES[self.precision], self.precision != "float32"
        with torch.autocast(prepared.device.type, dtype, enabled=reduced):
            return step(self.generator, state, prepared)


def engine_for(generator: AnyGenerator, precision: str = "float32", kind: Kind = "auto") -> Engine:
    """Gives the engine for a generator on its device; ``auto``: on CPUs the fast one, which vid2vid's have.

    ``precision``: see settings. Raises MissingExtra for vid2vid's on a CPU without numba: the plain engine would round
    in other places than the rest of a dataset, and take several times as long as was planned.
    """
    if kind == "plain" or generator.device.type != "cpu" or isinstance(generator, AdaptiveGenerator):
        return PlainEngine(generator, precision)
    require("rendering on a CPU", "cpu")
    from flowreel.pipeline.generator.fast.engine import FastEngine  # numba, which GPUs do without

    return FastEngine(generator, None if precision == "float32" else DTYPES[precision])


def load_engine(checkpoint: Checkpoint, settings: RenderSettings) -> Engine:
    """Loads a checkpoint's generator on the device and with the precision of a plan, ready to render."""
    return engine_for(load_generator(checkpoint, settings.device), settings.precision)
