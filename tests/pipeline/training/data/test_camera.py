"""Clips of stills: flow that is exact where it is sure, parallax, and pictures that fit their labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flowreel.pipeline.generator.warp import warp
from flowreel.pipeline.training.data.camera import SHARES, Camera, Footage, moved
from flowreel.pipeline.training.data.loader import open_loader
from flowreel.pipeline.training.data.sampling import Draw
from flowreel.pipeline.training.data.sources import open_data

from ..paired import train_spec
from ..stills import CAR, ROAD, still, write_stills

WIDTH, HEIGHT = 128, 96
STILL = still(3, WIDTH, HEIGHT)
THINGS = frozenset({CAR})
RESTS = Camera(0.8, 1.0, (0.1, -0.1), (0.0, 0.0), 0.0)
PATHS = {
    "pan": replace(RESTS, speed=(0.03, 0.01)),
    "zoom": replace(RESTS, rate=0.97),
    "away": replace(RESTS, rate=1.03),
    "parallax": replace(RESTS, speed=(0.03, 0.0), parallax=1.5),
    "all": replace(RESTS, rate=0.98, speed=(-0.02, 0.01), parallax=1.0),
}


def film(camera: Camera, frames: int = 4) -> Footage:
    return moved(STILL, camera, range(frames), THINGS)


def warped(footage: Footage) -> NDArray[np.float32]:
    """Frames before, moved to where the flow says they are in the next ones."""
    before_B3HW = torch.from_numpy(np.stack([f.image_HW3 for f in footage.frames[:-1]])).movedim(-1, 1).float()
    return warp(before_B3HW, torch.from_numpy(footage.flow_THW2[1:]).movedim(-1, 1)).movedim(1, -1).numpy()


@pytest.mark.parametrize("camera", PATHS.values(), ids=PATHS)
def test_warping_by_the_flow_gives_the_frame_where_it_is_sure(camera: Camera) -> None:
    footage = film(camera)
    images = np.stack([f.image_HW3 for f in footage.frames]).astype(float)
    sure = footage.sure_THW[1:]
    error = np.abs(warped(footage) - images[1:]).max(axis=-1)
    assert error[sure].max() < 3, "levels of 255: two roundings, and a second interpolation"
    assert np.abs(images[1:] - images[:-1])[sure].mean() > 3 * error[sure].mean(), "it does move"
    assert sure.mean() > 0.85 and not footage.sure_THW[0].any() and not footage.flow_THW2[0].any()


@pytest.mark.parametrize("camera", PATHS.values(), ids=PATHS)
def test_labels_move_with_the_pixels(camera: Camera) -> None:
    """A still whose grey is its class shows that labels and images are of the same places."""
    grey_HW3 = np.repeat(STILL.label_HW[..., None] * 8, 3, axis=-1)
    for frame in moved(replace(STILL, image_HW3=grey_HW3), camera, range(4), THINGS).frames:
        inner = frame.label_HW[1:-1, 1:-1]
        alike = [
            inner == frame.label_HW[1 + y : HEIGHT - 1 + y, 1 + x : WIDTH - 1 + x]
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
        ]
        flat = np.all(alike, axis=0)
        wrong = np.abs(frame.image_HW3[1:-1, 1:-1, 0].astype(int) - inner.astype(int) * 8)[flat]
        assert (wrong > 1).mean() < 0.01
        assert set(np.unique(frame.label_HW)) <= set(np.unique(STILL.label_HW))


def test_a_pan_has_one_flow_everywhere_and_a_zoom_grows_from_the_middle() -> None:
    pan = film(PATHS["pan"]).flow_THW2[1]
    step = np.array([0.03 * (WIDTH - 1) / 2, 0.01 * (HEIGHT - 1) / 2]) / 0.8
    np.testing.assert_allclose(pan, np.broadcast_to(step, pan.shape), atol=1e-4)
    zoom = film(replace(PATHS["zoom"], start=(0.0, 0.0))).flow_THW2[1]
    assert zoom[:, 0, 0].max() > 0.5 > -0.5 > zoom[:, -1, 0].min(), "from the middle's side, as when one drives on"


def test_nearer_things_move_further_and_what_they_uncover_is_not_sure() -> None:
    footage = film(PATHS["parallax"])
    flow, sure, label = footage.flow_THW2[1], footage.sure_THW[1], footage.frames[1].label_HW
    length = np.hypot(flow[..., 0], flow[..., 1])
    cars = length[(label == CAR) & sure]
    lower, upper = length[HEIGHT * 5 // 8], length[HEIGHT * 7 // 16]
    assert lower.max() > 1.05 * upper.max() > 1.3 * np.median(length[(label == ROAD) & sure]) > 0
    assert len(np.unique(cars.round(3))) >= 2, "each connected car is a layer of its own, without instance maps"
    assert 0 < (~sure[label == ROAD]).sum() < 0.2 * sure.size


def test_the_window_never_leaves_the_still() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        camera = Camera.drawn(rng.random(SHARES).tolist())
        for time in (0, 3, 40):
            zoom, x, y = camera.window(time, 0.0)
            assert 0 < zoom <= 1 and abs(x) + zoom <= 1 + 1e-9 and abs(y) + zoom <= 1 + 1e-9


def test_a_loaded_clip_of_a_still_is_mirrored_and_cut_with_its_flow(tmp_path: Path) -> None:
    source = {"uri": str(write_stills(tmp_path / "stills", 1)), "instances": None}
    spec = train_spec("", tmp_path / "run", source=source, data={"size": (64, 64), "crop": (48, 32)})
    loader = open_loader(spec, open_data(spec))
    sequence = loader.data.trained[0]
    assert sequence.still
    draw = Draw(0, 0, 1, 5, 2, flip=True, crop=(6, 4), camera=PATHS["all"])
    clip = loader.load(sequence, draw)
    assert clip.real_T3HW.shape == (5, 3, 32, 48) and not clip.sure_T1HW[0].any()
    error = (warp(clip.real_T3HW[:-1], clip.flow_T2HW[1:]) - clip.real_T3HW[1:]).abs() * clip.sure_T1HW[1:]
    assert error[..., 1:-1, 1:-1].max() < 5 / 127.5 and clip.sure_T1HW[1:].mean() > 0.7
    empty = loader.load(sequence, replace(draw, empty=True))
    assert torch.equal(empty.real_T3HW[0], empty.real_T3HW[2]) and not empty.sure_T1HW[:3].any()
    assert not torch.equal(empty.real_T3HW[2], empty.real_T3HW[3]) and empty.sure_T1HW[3].any()
