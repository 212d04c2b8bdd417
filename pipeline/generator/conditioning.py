"""Label and instance maps -> the generator's input channels, and their image pyramid."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.generator.config import GeneratorConfig


def instance_edges(instance_THW: Tensor) -> Tensor:
    """1 where a pixel's id differs from a left, right, upper or lower neighbour's, on both sides. Bool, THW."""
    edge_THW = torch.zeros_like(instance_THW, dtype=torch.bool)
    across = instance_THW[..., :, 1:] != instance_THW[..., :, :-1]
    edge_THW[..., :, 1:] |= across
    edge_THW[..., :, :-1] |= across
    along = instance_THW[..., 1:, :] != instance_THW[..., :-1, :]
    edge_THW[..., 1:, :] |= along
    edge_THW[..., :-1, :] |= along
    return edge_THW


def encode(label_THW: Tensor, instance_THW: Tensor | None, config: GeneratorConfig) -> Tensor:
    """One-hot labels, then the instance edge channel if the generator has one: float32 (T, L, H, W), values 0 and 1.

    Ids must be below ``config.label_nc``; ``instance_THW`` may be missing only where the generator has no edge channel.
    """
    hot = F.one_hot(label_THW.long(), config.label_nc).movedim(-1, -3)
    if config.use_instance:
        assert instance_THW is not None, "this generator needs instance maps"
        hot = torch.cat((hot, instance_edges(instance_THW).unsqueeze(-3)), dim=-3)
    return hot.float()


def pool(x_BCHW: Tensor) -> Tensor:
    """Halves by a 3x3 mean over the valid pixels."""
    return F.avg_pool2d(x_BCHW, 3, stride=2, padding=1, count_include_pad=False)


def pyramid(x_BCHW: Tensor, levels: int) -> list[Tensor]:
    """``levels`` sizes of the same picture, coarsest first."""
    sizes = [x_BCHW]
    for _ in range(levels - 1):
        sizes.append(pool(sizes[-1]))
    return sizes[::-1]
