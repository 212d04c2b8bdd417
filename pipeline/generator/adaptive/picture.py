"""Class-adaptive generator: a decoder that the label map modulates at every scale (SPADE, arXiv 1903.07291, whose
modulation is looked up per class as in CLADE, arXiv 2012.04644, and then sees a little of its surroundings).

All norms are over the channels of a pixel, so that nothing depends on what else is in a picture, and regions of one
class keep their label through every norm.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowreel.pipeline.generator.warp import exact, full_precision

SLOPE = 0.2  # of leaky ReLUs


class ClassEncoder(nn.Module):
    """What is where, per scale: a table of features per class, which the style shifts, then stride-2 convolutions."""

    def __init__(self, channels: int, style: int, widths: tuple[int, ...]) -> None:
        """Takes ``channels``: of an encoded frame; ``style``: numbers of a style; ``widths``: features per scale."""
        super().__init__()
        self.table = nn.Parameter(torch.randn(channels, widths[0]) * 0.5)
        self.shift = nn.Parameter(torch.randn(style, channels, widths[0]) * 0.1)
        self.height = nn.Parameter(torch.zeros(widths[0]))
        pairs = pairwise(widths)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)

    def forward(self, labels_BLHW: Tensor, style_BZ: Tensor) -> list[Tensor]:
        """Gives features (B, C, h, w) per scale, finest first."""
        batch, channels, rows, columns = labels_BLHW.shape
        table_BLC = self.table + torch.einsum("bz,zlc->blc", style_BZ, self.shift)
        flat_BNL = labels_BLHW.permute(0, 2, 3, 1).reshape(batch, rows * columns, channels)
        found_BHWC = torch.bmm(flat_BNL, table_BLC.to(flat_BNL.dtype)).view(batch, rows, columns, -1)
        height_H = torch.linspace(-1, 1, rows, device=found_BHWC.device, dtype=self.height.dtype)
        found_BHWC = found_BHWC + (height_H[:, None, None] * self.height).to(found_BHWC.dtype)
        features = [F.leaky_relu(found_BHWC.permute(0, 3, 1, 2), SLOPE)]
        for down in self.downs:
            features.append(F.leaky_relu(down(features[-1]), SLOPE))
        return features


def pixel_norm(x_BCHW: Tensor) -> Tensor:
    """Brings each pixel's channels to mean 0 and variance 1."""
    x_BHWC = x_BCHW.permute(0, 2, 3, 1)
    return F.layer_norm(x_BHWC, x_BHWC.shape[-1:]).permute(0, 3, 1, 2)


class AdaptiveBlock(nn.Module):
    """x + two convolutions, each after a norm that the class features scale and shift; noise in between."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.modulation = nn.Conv2d(features, 4 * width, 1)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.noise = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x_BCHW: Tensor, features_BCHW: Tensor, noise_B1HW: Tensor) -> Tensor:
        scale_1, shift_1, scale_2, shift_2 = self.modulation(features_BCHW).chunk(4, dim=1)
        h = self.first(_modulated(x_BCHW, scale_1, shift_1))
        h = h + (self.noise * noise_B1HW).to(h.dtype)
        return x_BCHW + self.second(_modulated(h, scale_2, shift_2))


def _modulated(x_BCHW: Tensor, scale_BCHW: Tensor, shift_BCHW: Tensor) -> Tensor:
    normed = pixel_norm(x_BCHW)
    return F.leaky_relu(torch.addcmul(normed + shift_BCHW, normed, scale_BCHW), SLOPE)


class AdaptiveDecoder(nn.Module):
    """From class features per scale to a picture, coarsest scale first."""

    def __init__(self, style: int, features: tuple[int, ...], widths: tuple[int, ...]) -> None:
        """Takes ``features``, ``widths``: channels of class features and of the decoder per scale, finest first."""
        super().__init__()
        self.start = nn.Conv2d(features[-1], widths[-1], 3, padding=1)
        self.look = nn.Linear(style, widths[-1])
        pairs = zip(widths, features, strict=True)
        self.blocks = nn.ModuleList(AdaptiveBlock(width, given) for width, given in pairs)
        finer = zip(widths[1:], widths[:-1], strict=True)
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in finer)  # before the size is doubled
        self.picture = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, features: list[Tensor], style_BZ: Tensor, noise_B1HW: Tensor) -> Tensor:
        """Draws a picture in [-1, 1], (B, 3, H, W); ``noise``: unit normals, which coarse scales take some of."""
        x = self.features(features, style_BZ, noise_B1HW)
        with full_precision(x):
            return torch.tanh(self.picture(F.leaky_relu(pixel_norm(exact(x)), SLOPE)))

    def features(self, features: list[Tensor], style_BZ: Tensor, noise_B1HW: Tensor, last: int = 0) -> Tensor:
        """Gives what the picture is made of, at scale ``last``: (B, C, h, w)."""
        x = self.start(features[-1])
        x = x + self.look(style_BZ)[:, :, None, None].to(x.dtype)
        for scale in range(len(self.blocks) - 1, last - 1, -1):
            every = 2**scale
            x = self.blocks[scale](x, features[scale], noise_B1HW[..., ::every, ::every])
            if scale > last:
                x = F.interpolate(self.narrow[scale - 1](x), scale_factor=2.0, mode="nearest")
        return x


class AdaptiveImage(nn.Module):
    """A picture from labels, a style and noise alone."""

    def __init__(self, channels: int, style: int, features: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        self.style = style
        self.encoder = ClassEncoder(channels, style, features)
        self.decoder = AdaptiveDecoder(style, features, widths)

    def forward(self, labels_BLHW: Tensor, style_BZ: Tensor, noise_B1HW: Tensor) -> Tensor:
        """Draws a picture. ``labels``: one-hot classes and edges; sides are multiples of 32."""
        return self.decoder(self.encoder(labels_BLHW, style_BZ), style_BZ, noise_B1HW)
