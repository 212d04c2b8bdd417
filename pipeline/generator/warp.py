"""Bilinear warping by backward flow (vid2vid, eq. 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(image_BCHW: Tensor, flow_B2HW: Tensor) -> Tensor:
    """The image sampled at (x + u, y + v), coordinates clamped to the picture; flow in pixels, channel 0 horizontal."""
    h, w = image_BCHW.shape[-2:]
    x_W = torch.linspace(-1, 1, w, device=flow_B2HW.device, dtype=flow_B2HW.dtype)
    y_H = torch.linspace(-1, 1, h, device=flow_B2HW.device, dtype=flow_B2HW.dtype)
    grid_BHW2 = torch.stack(
        (x_W + flow_B2HW[:, 0] * (2 / max(w - 1, 1)), y_H[:, None] + flow_B2HW[:, 1] * (2 / max(h - 1, 1))), dim=-1
    )
    return F.grid_sample(
        image_BCHW, grid_BHW2.to(image_BCHW.dtype), mode="bilinear", padding_mode="border", align_corners=True
    )
