"""Building blocks of the vid2vid networks. Module positions matter: they are the names in official checkpoints."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]  # channels -> what follows an inner convolution
EPS = 1e-5  # added to the variance by all norms


class ClipNorm(nn.Module):
    """Normalises each clip's frame by its own mean and biased variance per channel, then scales and shifts.

    This is what the original's BatchNorm2d does: it runs in training mode with one clip at a time, also when
    testing. The running statistics in its files are never read; the keys are kept so that files load strictly.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.int64))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        # One group per channel is instance normalisation, by a kernel 2 to 4 times as fast on CPUs. In channels_last
        # layout it would make values up to 0.5 of constant maps, which start a clip without first frames.
        return F.group_norm(x_BCHW.contiguous(), x_BCHW.shape[1], self.weight, self.bias, eps=EPS)


class PlainNorm(nn.Module):
    """ClipNorm without scale and shift, as in single-image generators and the encoder (InstanceNorm2d).

    It has no keys. vid2vid's files hold running statistics here, which are never read; pix2pixHD's hold nothing.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.group_norm(x_BCHW.contiguous(), self.channels, eps=EPS)


class ResBlock(nn.Module):
    """x + [pad, 3x3, norm, ReLU, pad, 3x3, norm](x); no activation after the sum."""

    def __init__(self, width: int, norm: Norm = ClipNorm) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            norm(width),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            norm(width),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.conv_block(x_BCHW)


def conv7(inputs: int, outputs: int) -> list[nn.Module]:
    """Builds reflection padding 3 and a 7x7 convolution, which keep the size."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(inputs, outputs, 7)]


def normed(outputs: int, norm: Norm = ClipNorm) -> list[nn.Module]:
    """Builds what follows every inner convolution: norm and ReLU."""
    return [norm(outputs), nn.ReLU(inplace=True)]


def entry(inputs: int, outputs: int, norm: Norm = ClipNorm) -> list[nn.Module]:
    """Builds conv7, norm and ReLU."""
    return [*conv7(inputs, outputs), *normed(outputs, norm)]


def down(inputs: int, outputs: int, norm: Norm = ClipNorm) -> list[nn.Module]:
    """Builds a convolution that halves the size, norm and ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), *normed(outputs, norm)]


def up(inputs: int, outputs: int, norm: Norm = ClipNorm) -> list[nn.Module]:
    """Builds a transposed convolution that doubles the size, norm and ReLU."""
    conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
    return [conv, *normed(outputs, norm)]


def widths(width: int, steps: int, limit: int | None = None) -> list[int]:
    """Gives the channels before and after each of ``steps`` halvings of the size: they double, up to ``limit``."""
    return [min(width * 2**i, limit or width * 2**i) for i in range(steps + 1)]


def downs(width: int, steps: int, norm: Norm = ClipNorm, limit: int | None = None) -> list[nn.Module]:
    """Builds ``steps`` stride-2 convolutions, from ``width`` channels to ``width * 2**steps``, at most ``limit``."""
    w = widths(width, steps, limit)
    return [m for i in range(steps) for m in down(w[i], w[i + 1], norm)]


def ups(width: int, steps: int, norm: Norm = ClipNorm, limit: int | None = None, joined: int = 0) -> list[nn.Module]:
    """Builds the way back to ``width`` channels by transposed convolutions; the first one has ``joined`` more
    inputs."""
    w = widths(width, steps, limit)
    w_in = [*w[:-1], w[-1] + joined]
    return [m for i in range(steps, 0, -1) for m in up(w_in[i], w[i - 1], norm)]


def res_blocks(width: int, count: int, norm: Norm = ClipNorm) -> list[nn.Module]:
    """Builds ``count`` residual blocks."""
    return [ResBlock(width, norm) for _ in range(count)]


def head(inputs: int, outputs: int, activation: nn.Module | None = None) -> nn.Sequential:
    """Builds the final 7x7 convolution, with its activation if it has one."""
    return nn.Sequential(*conv7(inputs, outputs), *([activation] if activation else []))
