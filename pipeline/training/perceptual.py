"""How far images are from real ones in a network's features; weights come from a file that is given.

Either torchvision's VGG19, as in the original (vid2vid-spec, section 10.5), or a segmenter trained on real frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.training.losses import mean_difference
from pipeline.training.segmenter import load_segmenter

Features = Callable[[Tensor], list[Tensor]]  # images (B, 3, H, W) in [-1, 1] -> layers, shallow to deep


@dataclass(frozen=True)
class Perceptual:
    features: Features
    weights: tuple[float, ...]  # per layer

    def __call__(self, fakes: Sequence[Tensor], real_B3HW: Tensor) -> Tensor:
        """Mean over the sets of made images of the weighted mean absolute differences; the real side is constant."""
        with torch.no_grad():
            wanted = self.features(real_B3HW)
        found = [self.features(fake_B3HW) for fake_B3HW in fakes]
        parts = [
            weight * mean_difference(layer, target) / len(fakes)
            for layers in found
            for weight, layer, target in zip(self.weights, layers, wanted, strict=True)
        ]
        return torch.stack(parts).sum()


def from_file(data: bytes, device: str) -> Perceptual:
    """A segmenter's file. Raises CheckpointError for any other."""
    segmenter = load_segmenter(data).to(device).requires_grad_(False)
    return Perceptual(segmenter.features, (1 / 4,) * 4)
