"""How far images are from real ones in a network's features; weights come from a file that is given.

Either torchvision's VGG19, as in the original (vid2vid-spec, section 10.5), or a segmenter trained on real frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

Features = Callable[[Tensor], list[Tensor]]  # images (B, 3, H, W) in [-1, 1] -> layers, shallow to deep


@dataclass(frozen=True)
class Perceptual:
    features: Features
    weights: tuple[float, ...]  # per layer

    def __call__(self, fakes: Sequence[Tensor], real_B3HW: Tensor) -> Tensor:
        """Mean over the sets of made images of the weighted mean absolute differences; the real side is constant."""
        raise NotImplementedError
