"""Small paired sequences: a camera that pans over one picture, with label and instance maps that pan along."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import encode_ids, encode_image
from flowreel.pipeline.training.data.sources import TrainingSource, open_source
from flowreel.schemas.training import TrainSpec

WIDTH, HEIGHT = 96, 64
PAN = (3, -2)  # pixels per frame that the window moves: the backward flow everywhere
MARGIN = 32


def panned(seed: int, frames: int) -> NDArray[np.uint8]:
    """A window that moves over smooth colour noise, (T, H, W, 3)."""
    side = (HEIGHT + 2 * MARGIN + 8 * frames, WIDTH + 2 * MARGIN + 8 * frames, 3)
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random(side).astype(np.float32), (0, 0), 2)
    picture = ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)
    top = MARGIN + 4 * frames
    return np.stack([picture[top + t * PAN[1] :, MARGIN + t * PAN[0] :][:HEIGHT, :WIDTH] for t in range(frames)])


def write_paired(root: Path, sequences: int = 2, frames: int = 6) -> Path:
    """``seq_0/labels/000000.png``, ``seq_0/instances/...``, ``seq_0/images/...``; returns ``root``."""
    for s in range(sequences):
        images = panned(s, frames)
        label_THW = np.where(images[..., 0] > 128, 26, 7).astype(np.uint8)
        instance_THW = np.where(label_THW == 26, 26001, 0).astype(np.uint16)
        for t in range(frames):
            put(root, f"seq_{s}/labels/{t:06d}.png", encode_ids(label_THW[t]))
            put(root, f"seq_{s}/instances/{t:06d}.png", encode_ids(instance_THW[t]))
            put(root, f"seq_{s}/images/{t:06d}.png", encode_image(images[t], "png", 0))
    return root


def put(root: Path, path: str, data: bytes) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def train_spec(root: Path | str, output: Path | str, **groups: Any) -> TrainSpec:
    """A spec of such a source at its own size; ``groups`` replace fields of the spec's groups."""
    tree: dict[str, Any] = {
        "output": str(output),
        "source": {"uri": str(root), "instances": "{sequence}/instances/*.png", "images": "{sequence}/images/*.png"},
        "data": {"size": (WIDTH, HEIGHT)},
        "generator": {"n_downsample": 2},
        "schedule": {"clip_frames": 4},
    }
    for name, group in groups.items():
        tree[name] = tree.get(name, {}) | group if isinstance(group, dict) else group
    return TrainSpec.model_validate(tree)


def opened(root: Path | str, output: Path | str, **groups: Any) -> TrainingSource:
    return open_source(train_spec(root, output, **groups))
