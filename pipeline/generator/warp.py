"""Warps images bilinearly by backward flow, and blends them (vid2vid, eq. 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def over(front: Tensor, back: Tensor, share: Tensor) -> Tensor:
    """Blends two images; ``share``: the front one's, in [0, 1]."""
    return front * share + back * (1 - share)


def warp(image_BCHW: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Samples the image at (x + u, y + v), coordinates clamped to it; flow in pixels, channel 0 horizontal."""
    h, w = image_BCHW.shape[-2:]
    exact = torch.promote_types(flow_B2HW.dtype, torch.float32)  # bfloat16 has 8 bits: whole pixels would be lost
    flow_B2HW = flow_B2HW.to(exact)
    x_W = torch.linspace(-1, 1, w, device=flow_B2HW.device, dtype=exact)
    y_H = torch.linspace(-1, 1, h, device=flow_B2HW.device, dtype=exact)
    grid_BHW2 = torch.stack(
        (x_W + flow_B2HW[:, 0] * (2 / max(w - 1, 1)), y_H[:, None] + flow_B2HW[:, 1] * (2 / max(h - 1, 1))), dim=-1
    )
    return F.grid_sample(image_BCHW.to(exact), grid_BHW2, mode="bilinear", padding_mode="border", align_corners=True)
