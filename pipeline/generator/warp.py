"""Warps images bilinearly by backward flow, and blends them (vid2vid, eq. 4)."""

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import is_autocast_available


def exact(x: Tensor) -> Tensor:
    """Converts to float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Ends reduced precision: flow of some pixels, warping and blending need more than bfloat16's 8 bits."""
    device = like.device.type
    return torch.autocast(device, enabled=False) if is_autocast_available(device) else nullcontext()


def over(front: Tensor, back: Tensor, share: Tensor) -> Tensor:
    """Blends two images; ``share``: the front one's, in [0, 1]."""
    return front * share + back * (1 - share)


def warp(image_BCHW: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Samples the image at (x + u, y + v), coordinates clamped to it; flow in pixels, channel 0 horizontal."""
    h, w = image_BCHW.shape[-2:]
    flow_B2HW = exact(flow_B2HW)  # bfloat16 has 8 bits: whole pixels would be lost
    x_W = torch.linspace(-1, 1, w, device=flow_B2HW.device, dtype=flow_B2HW.dtype)
    y_H = torch.linspace(-1, 1, h, device=flow_B2HW.device, dtype=flow_B2HW.dtype)
    grid_BHW2 = torch.stack(
        (x_W + flow_B2HW[:, 0] * (2 / max(w - 1, 1)), y_H[:, None] + flow_B2HW[:, 1] * (2 / max(h - 1, 1))), dim=-1
    )
    return F.grid_sample(
        image_BCHW.to(flow_B2HW.dtype), grid_BHW2, mode="bilinear", padding_mode="border", align_corners=True
    )
