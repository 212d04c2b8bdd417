"""Makes the first T-1 frames of a clip by the generator's own single-image generator (vid2vid, section 3.3)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flowreel.pipeline.generator.networks import VideoGenerator


@dataclass(frozen=True)
class FirstFrameStyle:
    """Real images that first frames shall look like, and where their parts are; for generators with an encoder."""

    image_BT3HW: Tensor  # T-1 frames in [-1, 1]
    part_BTHW: Tensor  # part labels, integers


def first_frames(generator: VideoGenerator, encoded_BTLHW: Tensor, style: FirstFrameStyle | None = None) -> Tensor:
    """Makes first frames, (B, T-1, 3, H, W) in [-1, 1], one from each encoded frame alone.

    A single-image generator that was trained without edge channel does not see it. Raises ValueError if there is no
    single-image generator, or if it needs ``style`` and has none.
    """
    single, frames = generator.S, encoded_BTLHW.shape[1]
    if single is None:
        raise ValueError("this generator has no single-image generator for first frames; start from an image or empty")
    seen_BTLHW = encoded_BTLHW[:, :, : single.config.input_nc]
    if not single.config.feat_num:
        return torch.stack([single(seen_BTLHW[:, t]) for t in range(frames)], dim=1)
    if style is None:
        raise ValueError(
            "this generator's first frames are made after real images: it needs the first"
            f" {frames} real frames of each clip and their part labels"
        )
    maps = [feature_map(generator, style.image_BT3HW[:, t], style.part_BTHW[:, t]) for t in range(frames)]
    return torch.stack([single(seen_BTLHW[:, t], maps[t]) for t in range(frames)], dim=1)


def feature_map(generator: VideoGenerator, image_B3HW: Tensor, part_BHW: Tensor) -> Tensor:
    """Gives the features of the image's parts, taken from the nearest known image: (B, Z, H, W)."""
    if generator.E is None or generator.features is None:
        raise ValueError("this generator has no encoder with feature tables, and cannot use a real image")
    return generator.features.lookup(generator.E(image_B3HW), part_BHW)
