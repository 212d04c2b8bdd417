"""The networks' building blocks on maps of one clip, as in ``layers``, from the parts in this package."""

from collections.abc import Callable, Iterator
from itertools import zip_longest

import numpy as np
import torch
import torch.nn.functional as F
from numba import prange
from torch import Tensor, nn

from flowreel.pipeline.generator.fast.activations import Floats, Map, Norm, Place, add_normed, consumed, padded
from flowreel.pipeline.generator.fast.kernels import kernel
from flowreel.pipeline.generator.fast.winograd import Winograd
from flowreel.pipeline.generator.layers import ClipNorm, ResBlock

Block = Callable[[list[Map]], list[Map]]  # maps of several frames, which share the reading of the weights


def blocks(modules: nn.Module, products: torch.dtype) -> list[Block]:
    """Builds the blocks of a ``Sequential`` of downs, residual blocks and ups, in its order.

    ``products``: the precision in which convolutions multiply; everything between them keeps the weights' precision.
    """
    return list(_blocks(list(modules.children()), products))


def run(steps: list[Block], maps: list[Map]) -> list[Map]:
    """Runs one block after the other."""
    for step in steps:
        maps = step(maps)
    return maps


def _blocks(modules: list[nn.Module], products: torch.dtype) -> Iterator[Block]:
    for module, after in zip_longest(modules, modules[1:]):
        if isinstance(module, ResBlock):
            yield Residual(module, products)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert isinstance(after, ClipNorm), "every inner convolution is followed by its norm"
            yield Strided(module, Norm(after), products)


class Strided:
    """A convolution or transposed convolution with stride 2, norm pending. No bias: the norm removes it."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, norm: Norm, products: torch.dtype) -> None:
        self.weight = conv.weight.detach().to(products, memory_format=torch.channels_last)
        self.up = isinstance(conv, nn.ConvTranspose2d)
        self.norm = norm

    def __call__(self, maps: list[Map]) -> list[Map]:
        return [self._convolved(given) for given in maps]

    def _convolved(self, given: Map) -> Map:
        x_1CHW = as_torch(consumed(given)).to(self.weight.dtype)
        if self.up:
            y_1CHW = F.conv_transpose2d(x_1CHW, self.weight, stride=2, padding=1, output_padding=1)
        else:
            y_1CHW = F.conv2d(x_1CHW, self.weight, stride=2, padding=1)
        return self.norm.of(from_torch(y_1CHW.to(self.norm.dtype)))


class Residual:
    """x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, block: ResBlock, products: torch.dtype) -> None:
        _, first, norm1, _, _, second, norm2 = block.conv_block
        assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
        assert isinstance(norm1, ClipNorm) and isinstance(norm2, ClipNorm)
        self.first, self.second = Winograd(first, Norm(norm1), products), Winograd(second, Norm(norm2), products)

    def __call__(self, maps: list[Map]) -> list[Map]:
        inputs = [Map(consumed(given)) for given in maps]
        made = self.second(self.first(inputs))
        return [add_normed(x, y) for x, y in zip(inputs, made, strict=True)]


class PictureConv:
    """Reflection padding 3, 7x7 convolution of a dense picture, norm pending."""

    def __init__(self, conv: nn.Conv2d, norm: Norm) -> None:
        self.weight = conv.weight.detach().to(memory_format=torch.channels_last)
        self.norm = norm

    def __call__(self, picture_CHW: Tensor) -> Map:
        x_1CHW = F.pad(picture_CHW[None], (3, 3, 3, 3), mode="reflect").to(memory_format=torch.channels_last)
        return self.norm.of(from_torch(F.conv2d(x_1CHW, self.weight)))


class Head:
    """Reflection padding 3 and a 7x7 convolution to a few channels: lines of 7 weights as 7 outputs each, then summed.

    A convolution with 3 outputs leaves most of a vector instruction empty; with 21 outputs it does a third of the work.
    """

    def __init__(self, *convs: nn.Conv2d) -> None:
        weight_OIYX = torch.cat([conv.weight.detach() for conv in convs])
        lines = weight_OIYX.permute(0, 3, 1, 2).flatten(0, 1)[..., None]  # (O X, I, Y, 1)
        self.weight = lines.contiguous(memory_format=torch.channels_last)
        self.bias_O: Floats = torch.cat([_bias(conv).detach() for conv in convs]).numpy()

    def __call__(self, given: Map, place: Place | None = None) -> Tensor:
        """Convolves (H, W, I) to (O, H, W), or a part of it, bias added, before the activation."""
        lines_HXL = from_torch(F.conv2d(as_torch(padded(given, 3, place)), self.weight))
        height, width, _ = lines_HXL.shape
        out_OHW = np.empty((len(self.bias_O), height, width - 6), lines_HXL.dtype)
        _sum_lines(lines_HXL, self.bias_O, out_OHW)
        return torch.from_numpy(out_OHW)


@kernel
def _sum_lines(lines_HXL: Floats, bias_O: Floats, out_OHW: Floats) -> None:
    outputs, height, width = out_OHW.shape
    for y in prange(height):
        for x in range(width):
            for o in range(outputs):
                total = bias_O[o]
                for j in range(7):
                    total += lines_HXL[y, x + j, o * 7 + j]
                out_OHW[o, y, x] = total


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def as_torch(values_HWC: Floats) -> Tensor:
    """Views a map as (1, C, H, W) in channels_last layout, on the same memory."""
    return torch.from_numpy(values_HWC).permute(2, 0, 1)[None]


def from_torch(x_1CHW: Tensor) -> Floats:
    """Views a tensor as (H, W, C), on the same memory where its layout is channels_last."""
    values_HWC: Floats = x_1CHW[0].permute(1, 2, 0).contiguous().numpy()
    return values_HWC
