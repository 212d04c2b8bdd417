"""Small maps, networks and label pictures that the tests of the fast path share."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from flowreel.pipeline.generator.fast.activations import Map, Norm, consumed
from flowreel.pipeline.generator.layers import ClipNorm
from flowreel.pipeline.sources.scenes import street_scene

Array = NDArray[np.floating]
KINDS = [torch.float64, torch.float32]


def numbers(*shape: int, kind: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Normally distributed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(kind)


def filled(module: nn.Module, kind: torch.dtype = torch.float64, seed: int = 0) -> nn.Module:
    """With random weights as large as they are after training; also those of norms, which start as 1 and 0."""
    for i, value in enumerate(module.parameters()):
        fan_in = max(1, value[0].numel()) if value.ndim > 1 else 4
        value.data = numbers(*value.shape, seed=seed + i) / fan_in**0.5
    return module.requires_grad_(False).to(kind)


def norm(channels: int, kind: torch.dtype = torch.float64, seed: int = 90) -> ClipNorm:
    made = filled(ClipNorm(channels), kind, seed)
    assert isinstance(made, ClipNorm)
    return made


def map_of(x_1CHW: Tensor, pending_2C: Array | None = None) -> Map:
    """A map of its own memory."""
    return Map(x_1CHW[0].permute(1, 2, 0).contiguous().numpy().copy(), pending_2C)


def content(given: Map) -> Tensor:
    """(1, C, H, W), the map stays as it is."""
    return torch.from_numpy(consumed(Map(given.values_HWC.copy(), given.pending_2C))).permute(2, 0, 1)[None]


def pending(channels: int, kind: torch.dtype = torch.float64, seed: int = 70) -> Array:
    return numbers(2, channels, kind=kind, seed=seed).numpy()


def active(x_1CHW: Tensor, pending_2C: Array) -> Tensor:
    """What a map with this normalisation pending contains."""
    scale_C, shift_C = torch.from_numpy(pending_2C)
    return F.relu(x_1CHW * scale_C[:, None, None] + shift_C[:, None, None])


def plain_norm(conv_1CHW: Tensor, norm: Norm) -> Tensor:
    """relu(norm(x)), in the type of ``conv_1CHW``."""
    weight, bias = (torch.from_numpy(part).to(conv_1CHW) for part in (norm.weight_C, norm.bias_C))
    return F.relu(F.group_norm(conv_1CHW, conv_1CHW.shape[1], weight, bias, eps=1e-5))


def off(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of how much the expected values spread."""
    assert found.shape == expected.shape
    return float((found.double() - expected.double()).abs().max() / max(float(expected.double().std()), 1e-30))


# Label maps (H, W) and instance ids (H, W)

IDS = 35
FOREGROUND = 26


@cache
def street(height: int, width: int) -> tuple[Tensor, Tensor]:
    """A part of one, where it is smaller than scenes are drawn."""
    scene = street_scene(3, 1, (max(width, 32), max(height, 32)))
    label_HW, instance_HW = (ids[0, -height:, :width].astype(np.int32) for ids in (scene.label_THW, scene.instance_THW))
    return torch.from_numpy(label_HW), torch.from_numpy(instance_HW)


def noise(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The worst case: every pixel differs from its neighbours, all are edges or nearly."""
    rng = np.random.default_rng(5)
    label_HW = rng.integers(0, IDS, (height, width), np.int32)
    return torch.from_numpy(label_HW), torch.from_numpy(rng.integers(0, 3, (height, width), np.int32))


def constant(height: int, width: int) -> tuple[Tensor, Tensor]:
    return torch.full((height, width), FOREGROUND, dtype=torch.int32), torch.zeros(height, width, dtype=torch.int32)


def blocks(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Areas of 8 x 8 pixels and thin lines between some."""
    rng = np.random.default_rng(6)
    label_HW = np.kron(rng.integers(0, IDS, (-(-height // 8), -(-width // 8))), np.ones((8, 8)))[:height, :width]
    label_HW[:, ::13] = FOREGROUND
    label_HW[5::11] = 0
    instance_HW = np.kron(rng.integers(0, 4, (-(-height // 16), -(-width // 16))), np.ones((16, 16)))[:height, :width]
    return torch.from_numpy(label_HW.astype(np.int32)), torch.from_numpy(instance_HW.astype(np.int32))


PICTURES: dict[str, Callable[[int, int], tuple[Tensor, Tensor]]] = {
    "street": street,
    "noise": noise,
    "constant": constant,
    "blocks": blocks,
}
