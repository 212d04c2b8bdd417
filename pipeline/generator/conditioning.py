"""Encodes label and instance maps, or pictures, as the generator's input channels, and builds image pyramids."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flowreel.pipeline.generator.configs import AnyConfig


def instance_edges(instance_THW: Tensor) -> Tensor:
    """Marks pixels whose id differs from a left, right, upper or lower neighbour's, on both sides; bool (T, H, W)."""
    edge_THW = torch.zeros_like(instance_THW, dtype=torch.bool)
    across = instance_THW[..., :, 1:] != instance_THW[..., :, :-1]
    edge_THW[..., :, 1:] |= across
    edge_THW[..., :, :-1] |= across
    along = instance_THW[..., 1:, :] != instance_THW[..., :-1, :]
    edge_THW[..., 1:, :] |= along
    edge_THW[..., :-1, :] |= along
    return edge_THW


def encode(label_THW: Tensor, instance_THW: Tensor | None, config: AnyConfig) -> Tensor:
    """Encodes one-hot labels, then the instance edge channel if the generator has one: float32 (T, L, H, W), values 0
    and 1.

    ``instance_THW`` may be missing only where the generator has no edge channel. Raises ValueError for an id that has
    no channel.
    """
    if not config.label_nc:
        raise ValueError("this generator is conditioned on pictures, not on label maps (label_nc is 0)")
    check_ids(label_THW, config)
    return _one_hot(label_THW, instance_THW, config)


def encode_frames(frames: Tensor, instance_THW: Tensor | None, config: AnyConfig) -> Tensor:
    """Encodes label ids that were checked before, or pictures where the generator has no labels."""
    return (_one_hot if config.label_nc else encode_pictures)(frames, instance_THW, config)


def check_ids(label_THW: Tensor | NDArray[np.integer], config: AnyConfig) -> None:
    """Raises ValueError for an id that has no channel. Call it with an array: reading a GPU's tensor would wait for
    it."""
    lowest, highest = int(label_THW.min()), int(label_THW.max())
    if lowest < 0 or highest >= config.label_nc:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"label id {wrong} is not in 0..{config.label_nc - 1}, the ids that this generator knows")


def _one_hot(label_THW: Tensor, instance_THW: Tensor | None, config: AnyConfig) -> Tensor:
    hot = F.one_hot(label_THW.long(), config.label_nc).movedim(-1, -3)
    return _with_edges(hot.float(), instance_THW, config)


def encode_pictures(picture_TLHW: Tensor, instance_THW: Tensor | None, config: AnyConfig) -> Tensor:
    """Adds the edge channel, if there is one, to pictures that are already in the network's range (`pose`, `face`)."""
    channels = picture_TLHW.shape[-3]
    if config.label_nc or channels != config.input_nc:
        wanted = f"label maps with {config.label_nc} ids" if config.label_nc else f"pictures of {config.input_nc}"
        raise ValueError(f"pictures of {channels} channels were given; this generator is conditioned on {wanted}")
    return _with_edges(picture_TLHW, instance_THW, config)


def _with_edges(frame_TLHW: Tensor, instance_THW: Tensor | None, config: AnyConfig) -> Tensor:
    if not config.use_instance:
        return frame_TLHW
    assert instance_THW is not None, "this generator needs instance maps"
    return torch.cat((frame_TLHW, instance_edges(instance_THW).unsqueeze(-3).to(frame_TLHW.dtype)), dim=-3)


def pool(x_BCHW: Tensor) -> Tensor:
    """Halves the size by a 3x3 mean over the valid pixels."""
    return F.avg_pool2d(x_BCHW, 3, stride=2, padding=1, count_include_pad=False)


def pyramid(x_BCHW: Tensor, levels: int) -> list[Tensor]:
    """Gives ``levels`` sizes of the same image, coarsest first."""
    sizes = [x_BCHW]
    for _ in range(levels - 1):
        sizes.append(pool(sizes[-1]))
    return sizes[::-1]


def from_uint8(image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Scales 0..255 to [-1, 1]; any layout."""
    return image.to(dtype) / 127.5 - 1


def to_uint8(image: Tensor) -> Tensor:
    """Scales [-1, 1] to 0..255 by truncation, as vid2vid stores images; any layout."""
    return ((image.float() + 1) / 2 * 255).clamp(0, 255).to(torch.uint8)
