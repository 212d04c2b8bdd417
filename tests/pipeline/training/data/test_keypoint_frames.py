"""Poses and faces as networks are trained on them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowreel.pipeline.codec import decode_image, encode_image
from flowreel.pipeline.sources.keypoints.crop import central_crop
from flowreel.pipeline.training.data.loader import open_loader
from flowreel.pipeline.training.data.sampling import whole
from flowreel.pipeline.training.plan import prepare
from flowreel.schemas.errors import SourceError
from flowreel.schemas.training import TrainSpec
from tests.pipeline.sources.keypoints.test_published import FRAMES, OWN, landmarks, write_poses


def train_spec(root: Path, source: dict[str, Any], **data: Any) -> TrainSpec:
    return TrainSpec.model_validate({
        "output": str(root / "run"),
        "source": {"uri": str(root / "source"), "images": "{sequence}/images/*.png"} | source,
        "data": {"size": [64, 64], "flip": 0} | data,
        "generator": {"ngf": 4, "n_downsample": 2, "n_blocks": 2},
        "schedule": {"clip_frames": 1, "empty_start": 1},
    })  # fmt: skip


def write_images(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        noise = np.random.default_rng(len(name)).integers(0, 256, (OWN[1], OWN[0], 3), np.uint8)
        (folder / f"{name}.png").write_bytes(encode_image(noise, "png", 100))


def test_poses_come_with_images_that_are_cut_alike(tmp_path: Path) -> None:
    write_poses(tmp_path / "source")
    write_images(tmp_path / "source/dance/images", [f"{t:03d}" for t in range(FRAMES)])
    source = {"pose": {"densepose": "{sequence}/densepose/*.png"}}
    plan = prepare(train_spec(tmp_path, source))
    assert (plan.config.label_nc, plan.config.input_nc, plan.config.use_instance) == (0, 6, False)
    clip = open_loader(plan.spec, plan.data).load(plan.data.trained[0], whole(0, FRAMES, 2))
    assert clip.frames.shape == (FRAMES, 6, 64, 64) and clip.real_T3HW.shape == (FRAMES, 3, 64, 64)
    image = decode_image((tmp_path / "source/dance/images/000.png").read_bytes())
    wanted = central_crop(OWN, (128, 64)).smooth(image).astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(clip.real_T3HW[0].movedim(0, -1).numpy(), wanted, atol=1e-6)
    assert clip.encoded(0, FRAMES, plan.config).shape == clip.frames.shape
    with pytest.raises(
        SourceError, match=r"data.flip 0.5: left and right limbs are drawn in different colours; set it to 0"
    ):
        prepare(train_spec(tmp_path, source, flip=0.5))


def test_faces_are_cut_by_the_first_frame_of_their_sequence(tmp_path: Path) -> None:
    folder = tmp_path / "source/talk/landmarks"
    folder.mkdir(parents=True)
    for t in range(FRAMES):
        (folder / f"{t}.json").write_text(json.dumps(landmarks(120 + 5 * t)))
    write_images(tmp_path / "source/talk/images", [str(t) for t in range(FRAMES)])
    plan = prepare(train_spec(tmp_path, {"face": {}}))
    assert len({frame.crop for frame in plan.data.trained[0].frames}) == 1
    clip = open_loader(plan.spec, plan.data).load(plan.data.trained[0], whole(0, FRAMES, 2))
    assert clip.frames.shape == (FRAMES, 15, 64, 64) and clip.frames.min() >= 0 and clip.frames.max() <= 1
