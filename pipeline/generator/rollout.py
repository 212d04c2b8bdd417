"""A clip through time: state in, frame and state out (vid2vid, eq. 1 and 3). Nothing of a clip stays on the model."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.generator.conditioning import pyramid
from pipeline.generator.config import GeneratorConfig
from pipeline.generator.networks import ScaleInput, ScaleOutput, VideoGenerator


@dataclass(frozen=True)
class RolloutState:
    """All that the next frame of B clips needs of the frames before it."""

    history: tuple[Tensor, ...]  # per scale, coarsest first: (B, 3 (T-1), h, w) in [-1, 1], oldest frame first
    raw_only: bool  # the history is empty: the next frame must not be blended with a warp of it


def start_empty(config: GeneratorConfig, batch: int, size: tuple[int, int], like: Tensor) -> RolloutState:
    """No first image (the original's ``no_first_img``): zeros, and the first frame is not blended. ``size``: (H, W)."""
    blank = like.new_zeros((batch, 3 * (config.n_frames - 1), *size))
    return RolloutState(tuple(pyramid(blank, config.n_scales)), raw_only=True)


def start_from(config: GeneratorConfig, first_BT3HW: Tensor) -> RolloutState:
    """From given first frames, (B, T-1, 3, H, W) in [-1, 1]: real images, an exemplar, or generated ones."""
    if first_BT3HW.shape[1] != config.n_frames - 1:
        raise ValueError(f"{first_BT3HW.shape[1]} first frames given; this generator needs {config.n_frames - 1}")
    return RolloutState(tuple(pyramid(first_BT3HW.flatten(1, 2), config.n_scales)), raw_only=False)


def step(generator: VideoGenerator, state: RolloutState, window_BTLHW: Tensor) -> tuple[RolloutState, ScaleOutput]:
    """Renders the last frame of each clip's window of T encoded frames.

    Each scale keeps its own generated frames: coarse histories are not pooled from the finest output.
    """
    config = generator.config
    labels = pyramid(window_BTLHW.flatten(1, 2), config.n_scales)
    inputs = [
        ScaleInput(labels_BCHW, history, foreground_mask(labels_BCHW, config), state.raw_only)
        for labels_BCHW, history in zip(labels, state.history, strict=True)
    ]
    outputs = generator(inputs)
    history = tuple(
        torch.cat((old[:, 3:], out.image_B3HW), dim=1) for old, out in zip(state.history, outputs, strict=True)
    )
    return replace(state, history=history, raw_only=False), outputs[-1]


def foreground_mask(labels_BCHW: Tensor, config: GeneratorConfig) -> Tensor:
    """Share of foreground classes in the window's current (last) frame, (B, 1, H, W), fractional when pooled."""
    current_BLHW = labels_BCHW[:, -config.frame_channels :]
    return current_BLHW[:, list(config.fg_labels)].sum(dim=1, keepdim=True).clamp(0, 1)
