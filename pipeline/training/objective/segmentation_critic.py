"""A critic that segments images, with a class for made pixels (OASIS, arXiv 2012.04781), on a frozen network's features
(as discriminators in Projected GAN, arXiv 2111.01007), with a branch of its own for pixels, without spectral norm."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of leaky ReLUs
SEEN = (16, 24, 48, 120, 352)  # channels of EfficientNet-Lite2's layers at strides 2 to 32
WIDTHS = (48, 64, 96, 128, 128)  # of the critic at these strides
PIXELS = 32  # channels of what it sees of pixels


class SegmentationCritic(nn.Module):
    """From an image and its frozen features to logits of the classes, and of being made, at half the size."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.lateral = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(SEEN, WIDTHS, strict=True))
        more = (PIXELS, 0, 0, 0)
        self.merge = nn.ModuleList(
            nn.Conv2d(fine + coarse + extra, fine, 3, padding=1)
            for (fine, coarse), extra in zip(pairwise(WIDTHS), more, strict=True)
        )
        self.pixels = nn.Sequential(
            *(nn.Conv2d(3, PIXELS, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)),
            *(nn.Conv2d(PIXELS, PIXELS, 3, padding=1), nn.LeakyReLU(SLOPE)),
        )
        self.judgement = nn.Conv2d(WIDTHS[0], classes + 1, 1)

    def forward(self, image_B3HW: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Gives logits (B, classes + 1, H/2, W/2). ``features``: of EfficientNet-Lite2, finest first."""
        sides = [F.leaky_relu(conv(x), SLOPE) for conv, x in zip(self.lateral, features, strict=True)]
        x = sides[-1]
        for i in range(len(self.merge) - 1, -1, -1):
            parts = [sides[i], F.interpolate(x, size=sides[i].shape[-2:], mode="nearest")]
            if i == 0:
                parts.append(self.pixels(image_B3HW))
            x = F.leaky_relu(self.merge[i](torch.cat(parts, dim=1)), SLOPE)
        logits: Tensor = self.judgement(x)
        return logits
