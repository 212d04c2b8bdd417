"""The class-adaptive generator: a frame after others, or one from nothing, by the same networks."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flowreel.pipeline.generator.adaptive.config import AdaptiveConfig
from flowreel.pipeline.generator.adaptive.motion import Motion, Moved, Recall
from flowreel.pipeline.generator.adaptive.picture import AdaptiveImage
from flowreel.pipeline.generator.warp import over, warp


@dataclass(frozen=True)
class Drawn:
    """A frame and what it was blended of."""

    image_B3HW: Tensor  # in [-1, 1]
    raw_B3HW: Tensor  # before blending
    moved: Moved | None  # none without history


class AdaptiveGenerator(nn.Module):
    """All networks of a generator; holds weights and nothing of any clip.

    ``image`` alone makes first frames; ``motion`` and ``recall`` add to it what the frames before say.
    """

    def __init__(self, config: AdaptiveConfig) -> None:
        super().__init__()
        self.config = config
        self.image = AdaptiveImage(config.frame_channels, config.style, config.features, config.widths)
        self.motion = Motion(config.frame_channels, config.n_frames, config.motion)
        self.recall = Recall(config.features)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def scales(self) -> list["AdaptiveGenerator"]:
        """Gives the networks with a history of their own, as vid2vid's generators do: it is one."""
        return [self]

    def forward(self, window_BTLHW: Tensor, history_BPHW: Tensor | None, style_BZ: Tensor | None = None) -> Drawn:
        """Draws a frame.

        ``window``: T encoded frames; ``history``: T-1 pictures before the last of them, none for a first frame.
        ``style``: unit normals; none is the mean look of the training frames.
        """
        now_BLHW = window_BTLHW[:, -1]
        if style_BZ is None:
            style_BZ = now_BLHW.new_zeros((len(now_BLHW), self.config.style))
        noise_B1HW = self._noise(now_BLHW)
        features = self.image.encoder(now_BLHW, style_BZ)
        if history_BPHW is None:
            raw_B3HW = self.image.decoder(features, style_BZ, noise_B1HW)
            return Drawn(raw_B3HW, raw_B3HW, None)
        moved = self.motion(window_BTLHW[:, -2], now_BLHW, history_BPHW)
        warped_B3HW = warp(history_BPHW[:, -3:], moved.flow_B2HW)
        features = self.recall(features, warped_B3HW, moved.weight_B1HW)
        raw_B3HW = self.image.decoder(features, style_BZ, noise_B1HW)
        return Drawn(over(raw_B3HW, warped_B3HW, moved.weight_B1HW), raw_B3HW, moved)

    def half_size(self, now_BLHW: Tensor) -> Tensor:
        """Gives what a first frame is made of at half its size: (B, C, H/2, W/2)."""
        style_BZ = now_BLHW.new_zeros((len(now_BLHW), self.config.style))
        features = self.image.encoder(now_BLHW, style_BZ)
        return self.image.decoder.features(features, style_BZ, self._noise(now_BLHW), last=1)

    def _noise(self, now_BLHW: Tensor) -> Tensor:
        return unit_noise(*now_BLHW.shape[-2:]).to(now_BLHW).expand(len(now_BLHW), -1, -1, -1)


def unit_noise(height: int, width: int) -> Tensor:
    """Draws unit normals (1, 1, H, W), the same on all machines and for all clips."""
    return torch.from_numpy(_drawn(height, width))[None, None]


@lru_cache(maxsize=8)  # of arrays: a tensor that was made while rendering cannot be trained with
def _drawn(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((height, width), dtype=np.float32)
