"""Rolls a clip out through time: state in, frame and state out (vid2vid, eq. 1 and 3). The model keeps nothing of a
clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowreel.pipeline.generator.conditioning import pyramid
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.generator.families import AnyGenerator
from flowreel.pipeline.generator.networks import ScaleInput, VideoGenerator


@dataclass(frozen=True)
class RolloutState:
    """The state that the next frame of B clips needs of the frames before it."""

    history: tuple[Tensor, ...]  # per scale, coarsest first: (B, 3 (T-1), h, w) in [-1, 1], oldest frame first
    raw_only: bool  # the history is empty: the next frame must not be blended with a warp of it

    def after(self, images: Sequence[Tensor]) -> "RolloutState":
        """Gives the state after a frame: ``images``, (B, 3, h, w) per scale; each scale keeps its own generated
        frames."""
        pairs = zip(self.history, images, strict=True)
        return RolloutState(tuple(torch.cat((old[:, 3:], image), dim=1) for old, image in pairs), raw_only=False)


@dataclass(frozen=True)
class Frame:
    """One rendered frame of B clips, at the finest scale."""

    image_B3HW: Tensor  # blended result in [-1, 1]
    raw_B3HW: Tensor  # synthesised image before blending with the warp
    flow_B2HW: Tensor | None  # backward flow t -> t-1, pixels (x, y)
    weight_B1HW: Tensor | None  # weight of the synthesised image against the warped one, in [0, 1]


def start_empty(config: AnyConfig, batch: int, size: tuple[int, int], like: Tensor) -> RolloutState:
    """Starts without a first image (the original's ``no_first_img``): zeros, and the first frame is not blended.

    ``size``: (H, W).
    """
    blank = like.new_zeros((batch, 3 * (config.n_frames - 1), *size))
    return RolloutState(tuple(pyramid(blank, config.n_scales)), raw_only=True)


def start_from(config: AnyConfig, first_BT3HW: Tensor) -> RolloutState:
    """Starts from given first frames, (B, T-1, 3, H, W) in [-1, 1]: real images, an exemplar, or generated ones."""
    if first_BT3HW.shape[1] != config.n_frames - 1:
        raise ValueError(f"{first_BT3HW.shape[1]} first frames given; this generator needs {config.n_frames - 1}")
    return RolloutState(tuple(pyramid(first_BT3HW.flatten(1, 2), config.n_scales)), raw_only=False)


def step(generator: AnyGenerator, state: RolloutState, window_BTLHW: Tensor) -> tuple[RolloutState, Frame]:
    """Renders the last frame of each clip's window of T encoded frames."""
    if isinstance(generator, VideoGenerator):
        return _vid2vid_step(generator, state, window_BTLHW)
    (history_BPHW,) = state.history
    drawn = generator(window_BTLHW, None if state.raw_only else history_BPHW)
    moved = drawn.moved
    frame = Frame(drawn.image_B3HW, drawn.raw_B3HW, moved and moved.flow_B2HW, moved and moved.weight_B1HW)
    if state.raw_only:  # what was before the first frame looked like it
        return start_from(
            generator.config, drawn.image_B3HW[:, None].expand(-1, generator.config.n_frames - 1, -1, -1, -1)
        ), frame
    return state.after([drawn.image_B3HW]), frame


def _vid2vid_step(generator: VideoGenerator, state: RolloutState, window_BTLHW: Tensor) -> tuple[RolloutState, Frame]:
    config = generator.config
    labels = pyramid(window_BTLHW.flatten(1, 2), config.n_scales)
    inputs = [
        ScaleInput(labels_BCHW, history, foreground_mask(labels_BCHW, config), state.raw_only)
        for labels_BCHW, history in zip(labels, state.history, strict=True)
    ]
    outputs = generator(inputs)
    last = outputs[-1]
    frame = Frame(last.image_B3HW, last.raw_B3HW, last.flow_B2HW, last.weight_B1HW)
    return state.after([out.image_B3HW for out in outputs]), frame


def foreground_mask(labels_BCHW: Tensor, config: GeneratorConfig) -> Tensor:
    """Gives the share of foreground classes in the window's current (last) frame, (B, 1, H, W), fractional when
    pooled."""
    current_BLHW = labels_BCHW[:, -config.frame_channels :]
    # Slices, because a list of indices would be copied to the device and wait for it; the first one is empty.
    classes = [current_BLHW[:, :0], *(current_BLHW[:, i : i + 1] for i in config.fg_labels)]
    return torch.cat(classes, dim=1).sum(dim=1, keepdim=True).clamp(0, 1)
