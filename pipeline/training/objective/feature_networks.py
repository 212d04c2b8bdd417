"""Frozen networks whose features tell how far pictures are from real ones; keys are those of public files."""

from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDEST = 1024  # pixels: wider images are halved
# Of EfficientNet-Lite2: how often a block is repeated, its kernel, stride, outputs, and how much it widens.
LITE2_STAGES = (
    *((1, 3, 1, 16, 1), (3, 3, 2, 24, 6), (3, 5, 2, 48, 6), (4, 3, 2, 88, 6)),
    *((4, 5, 1, 120, 6), (5, 5, 2, 208, 6), (1, 3, 1, 352, 6)),
)
LITE2_SEEN = (0, 3, 6, 14, 20)  # blocks at strides 2, 4, 8, 16 and 32


def _halved(x_B3HW: Tensor) -> Tensor:
    """Halves images until they are at most ``WIDEST`` pixels wide."""
    while x_B3HW.shape[-1] > WIDEST:
        x_B3HW = F.avg_pool2d(x_B3HW, 2)
    return x_B3HW


class Vgg(nn.Module):
    """VGG's convolutions up to relu5_1; ``layers`` has torchvision's indices."""

    in_file, here = "features.", "layers."  # how keys begin
    stages: tuple[tuple[int, ...], ...]
    unused: tuple[str, ...]  # beginnings of the keys of its file that come after the last layer that is seen
    weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of each stage's first layer

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.seen, channels = nn.Sequential(), set[int](), 3
        for stage in self.stages:
            if len(self.layers):
                self.layers.append(nn.MaxPool2d(2))
            self.seen.add(len(self.layers) + 1)
            for width in stage:
                self.layers.append(nn.Conv2d(channels, width, 3, padding=1))
                self.layers.append(nn.ReLU(inplace=True))
                channels = width

    def features(self, x_B3HW: Tensor) -> list[Tensor]:
        """Computes relu1_1, relu2_1, ..., relu5_1 of images in [-1, 1]."""
        x_B3HW, found = self._prepared(_halved(x_B3HW)), []
        for i, layer in enumerate(self.layers):
            x_B3HW = layer(x_B3HW)
            if i in self.seen:
                found.append(x_B3HW)
        return found

    def _prepared(self, x_B3HW: Tensor) -> Tensor:
        return x_B3HW


class Vgg19(Vgg):
    """As in the original: images come as they are, without ImageNet's mean and deviation."""

    stages = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,))
    unused = ("features.30.", "features.32.", "features.34.", "classifier.")


class Vgg16(Vgg):
    """With the mean and deviation that torchvision trained it with."""

    stages = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512,))
    unused = ("features.26.", "features.28.", "classifier.")

    def _prepared(self, x_B3HW: Tensor) -> Tensor:
        mean, deviation = (x_B3HW.new_tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        return ((x_B3HW + 1) / 2 - mean) / deviation


class FrozenNorm(nn.Module):
    """Batch norm by the statistics of its file, whatever mode the network is in."""

    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.zeros(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        mean, variance, weight, bias = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(x_BCHW, mean, variance, weight, bias, eps=1e-3)  # type: ignore[arg-type]


class SameConv(nn.Conv2d):
    """Without bias, padded as TensorFlow does: with stride 2 a pixel less on the left and above."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.around = (before, after, before, after)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(F.pad(x_BCHW, self.around))


class Lite2Block(nn.Module):
    """Widen, filter each channel, narrow; added to its input where the sizes are equal."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, widening: int) -> None:
        super().__init__()
        wide = inputs * widening
        if widening > 1:
            self._expand_conv, self._bn0 = SameConv(inputs, wide, 1), FrozenNorm(wide)
        self._depthwise_conv, self._bn1 = SameConv(wide, wide, kernel, stride, wide), FrozenNorm(wide)
        self._project_conv, self._bn2 = SameConv(wide, outputs, 1), FrozenNorm(outputs)
        self.widens, self.adds = widening > 1, stride == 1 and inputs == outputs

    def forward(self, x_BCHW: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x_BCHW))) if self.widens else x_BCHW
        found = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(wide)))))
        return x_BCHW + found if self.adds else found


class EfficientNetLite2(nn.Module):
    """EfficientNet-Lite2 without its classifier, by the keys of the package efficientnet-lite-pytorch."""

    in_file, here = "", ""
    unused = ("_conv_head.", "_bn1.", "_fc.")
    weights = (0.052, 0.028, 0.033, 0.038, 0.105)  # each layer as much: by its mean magnitude in street frames

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2), FrozenNorm(32)
        self._blocks = nn.ModuleList(_lite2_blocks())

    def features(self, x_B3HW: Tensor) -> list[Tensor]:
        """Computes layers at strides 2, 4, 8, 16 and 32 with 16, 24, 48, 120 and 352 channels, of images in [-1, 1]."""
        x = F.relu6(self._bn0(self._conv_stem(_halved(x_B3HW) * (127.5 / 128) + 0.5 / 128)))
        found = []
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i in LITE2_SEEN:
                found.append(x)
        return found


def _lite2_blocks() -> Iterator[Lite2Block]:
    before = (32, *(stage[3] for stage in LITE2_STAGES))
    for (inputs, outputs), (count, kernel, stride, _, widening) in zip(pairwise(before), LITE2_STAGES, strict=True):
        yield Lite2Block(inputs, outputs, kernel, stride, widening)
        for _ in range(count - 1):
            yield Lite2Block(outputs, outputs, kernel, 1, widening)
