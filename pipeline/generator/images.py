"""Images as the networks know them: their value ranges."""

import torch
from torch import Tensor


def from_uint8(image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """0..255 -> [-1, 1]; any layout."""
    return image.to(dtype) / 127.5 - 1


def to_uint8(image: Tensor) -> Tensor:
    """[-1, 1] -> 0..255 by truncation, as the original stores images; any layout."""
    return ((image.float() + 1) / 2 * 255).clamp(0, 255).to(torch.uint8)
