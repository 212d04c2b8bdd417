"""What the frames before say of a frame: flow and blend weight, as in vid2vid (eq. 4), and the warped frame, which the
decoder sees too, as in few-shot vid2vid (arXiv 1910.12713)."""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowreel.pipeline.generator.adaptive.picture import SLOPE
from flowreel.pipeline.generator.warp import exact, full_precision

FLOW_UNIT = 8.0  # pixels of the picture per unit of the flow head


@dataclass(frozen=True)
class Moved:
    """How the last frame became this one."""

    flow_B2HW: Tensor  # backward flow t -> t-1, pixels (x, y)
    weight_B1HW: Tensor  # of the new picture against the warped last one, in [0, 1]


class Motion(nn.Module):
    """Flow and blend weight from T-1 pictures and the labels of the last frame and of this one.

    It has a table of classes of its own, so that it can be trained apart from the pictures' decoder.
    """

    def __init__(self, channels: int, frames: int, width: int) -> None:
        """Takes ``channels``: of an encoded frame; ``frames``: T; ``width``: features at half the size."""
        super().__init__()
        self.table = nn.Conv2d(channels, width // 2, 1)
        self.enter = nn.Conv2d(width + 3 * (frames - 1), width, 3, padding=1)
        wide = [width, 2 * width, 3 * width, 4 * width]
        pairs = list(pairwise(wide))
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.deep = nn.ModuleList(nn.Conv2d(wide[-1], wide[-1], 3, padding=1) for _ in range(2))
        self.ups = nn.ModuleList(nn.Conv2d(a + b, a, 3, padding=1) for a, b in pairs)
        self.flow = nn.Conv2d(wide[1], 2, 3, padding=1)
        self.weight = nn.Conv2d(width, 1, 3, padding=1)
        for head in (self.flow, self.weight):
            nn.init.normal_(head.weight, std=1e-3)

    def forward(self, before_BLHW: Tensor, now_BLHW: Tensor, history_BPHW: Tensor) -> Moved:
        """Finds the motion between two frames with encoded labels ``before`` and ``now``.

        ``history``: T-1 pictures in [-1, 1], oldest first.
        """
        halves = [self.table(F.avg_pool2d(x, 2)) for x in (before_BLHW, now_BLHW)]
        x = F.leaky_relu(self.enter(torch.cat((*halves, F.avg_pool2d(history_BPHW, 2)), dim=1)), SLOPE)
        seen = [x]
        for down in self.downs:
            seen.append(F.leaky_relu(down(seen[-1]), SLOPE))
        x = seen[-1]
        for conv in self.deep:
            x = x + F.leaky_relu(conv(x), SLOPE)
        flow = x
        for scale in range(len(self.ups) - 1, -1, -1):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.leaky_relu(self.ups[scale](torch.cat((seen[scale], x), dim=1)), SLOPE)
            flow = x if scale == 1 else flow
        with full_precision(x):
            flow_B2HW = FLOW_UNIT * _enlarged(self.flow(exact(flow)), 4)
            return Moved(flow_B2HW, torch.sigmoid(_enlarged(self.weight(exact(x)), 2)))


def _enlarged(x_BCHW: Tensor, factor: int) -> Tensor:
    return F.interpolate(x_BCHW, scale_factor=float(factor), mode="bilinear", align_corners=False)


class Recall(nn.Module):
    """Adds what is warped to the class features of the finest scales; adds nothing before it was trained."""

    def __init__(self, features: tuple[int, ...], scales: int = 3) -> None:
        super().__init__()
        inputs = (4, *features[: scales - 1])
        self.look = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=1 if i == 0 else 2, padding=1)
            for i, (a, b) in enumerate(zip(inputs, features, strict=False))
        )
        self.add = nn.ModuleList(nn.Conv2d(b, b, 1) for b in features[:scales])
        for parameter in self.add.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: list[Tensor], warped_B3HW: Tensor, weight_B1HW: Tensor) -> list[Tensor]:
        """Adds to ``features``, those of `ClassEncoder`, finest first; the coarse ones stay as they are."""
        x, found = torch.cat((warped_B3HW, weight_B1HW), dim=1), list(features)
        for scale, (look, add) in enumerate(zip(self.look, self.add, strict=True)):
            x = F.leaky_relu(look(x), SLOPE)
            found[scale] = found[scale] + add(x)
        return found
