"""Small stills with label maps: things before a background, a void bonnet below, and no instance maps."""

from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from flowreel.pipeline.codec import encode_ids, encode_image
from flowreel.pipeline.training.data.frame_data import FrameData
from flowreel.pipeline.training.objective.feature_networks import EfficientNetLite2

from .paired import put

SIDE = 64
ROAD, SKY, CAR, BONNET = 7, 23, 26, 1


def still(seed: int = 0, width: int = SIDE, height: int = SIDE) -> FrameData:
    """Smooth colours; two cars, the left one lower in the picture, so nearer; the lowest rows are bonnet."""
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    image_HW3 = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    label_HW = np.full((height, width), ROAD, np.uint8)
    label_HW[: height // 3] = SKY
    label_HW[height // 2 : height * 3 // 4, width // 6 : width // 3] = CAR
    label_HW[height * 3 // 8 : height // 2, width // 2 : width * 3 // 4] = CAR
    label_HW[-height // 8 :] = BONNET
    return FrameData(label_HW, np.where(label_HW == CAR, CAR, 0).astype(np.uint8), image_HW3)


def write_stills(root: Path, count: int = 4) -> Path:
    """``town/labels/0000.png``, ``town/images/0000.png``, ..., numbered with gaps; returns ``root``."""
    for n in (0, 1, 5, 6)[:count]:
        frame = still(n)
        put(root, f"town/labels/{n:04d}.png", encode_ids(frame.label_HW))
        put(root, f"town/images/{n:04d}.png", encode_image(frame.image_HW3, "png", 0))
    return root


def write_lite2(file: Path) -> Path:
    """Weights of an EfficientNet-Lite2 that was never trained; returns ``file``."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = EfficientNetLite2()
    tensors = network.state_dict()
    for name, value in tensors.items():
        if name.endswith(("running_var", "bn0.weight", "bn1.weight", "bn2.weight")):
            value.fill_(1)
    save_file(tensors, file)
    return file
