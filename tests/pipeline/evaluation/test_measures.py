"""That measures say what they promise, on videos whose quality is known."""

from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flowreel.pipeline.evaluation.measures import (
    Video,
    diversity,
    drift,
    frame_statistics,
    grid_power,
    measure,
    there_and_back,
)
from flowreel.pipeline.evaluation.real_video import RealVideo
from flowreel.pipeline.quality.segmenter_network import Segmenter
from flowreel.schemas.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
Taught = tuple[Segmenter, RealVideo]


@pytest.fixture(scope="module")
def moving() -> Video:
    """A texture that moves by two pixels a frame: (8, 64, 128, 3)."""
    noise = np.random.default_rng(0).uniform(0, 255, (64, 160, 3)).astype(np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), np.zeros(0), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return np.stack([texture[:, 2 * t : 2 * t + 128] for t in range(8)])


def measured(video: Video, real: Video, taught: Taught) -> dict[str, Any]:
    label_THW: NDArray[np.uint8] = np.full(video.shape[:3], 7, np.uint8)
    return asdict(measure([video], [real], [label_THW], taught[0]))


def test_the_real_video_equals_itself(moving: Video, taught: Taught) -> None:
    found = measured(moving, moving, taught)
    assert found["l1"] == 0 and found["warp_error"] == found["warp_error_real_flow"] > 0
    assert asdict(drift(moving, moving, 4)) == {"color": 0, "contrast": 1, "sharpness": 1, "warp_error": 1}


def test_flicker_and_frames_out_of_order_raise_the_warp_errors(moving: Video, taught: Taught) -> None:
    steady = measured(moving, moving, taught)
    flicker = np.clip(moving + np.random.default_rng(1).normal(0, 12, moving.shape), 0, 255).astype(np.uint8)
    for worse in (flicker, moving[[0, 5, 2, 7, 4, 1, 6, 3]]):
        found = measured(worse, moving, taught)
        for name in ("warp_error", "warp_error_real_flow", "misalignment"):
            assert found[name] > 1.5 * steady[name], name


def test_what_stands_still_is_found_by_the_real_flow_alone(moving: Video, taught: Taught) -> None:
    found = measured(np.stack([moving[0]] * len(moving)), moving, taught)
    assert found["warp_error"] == 0 and found["warp_error_real_flow"] > 0.02


def test_blur_and_grain_show_as_sharpness(moving: Video) -> None:
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), 3) for frame in moving])
    grained = np.clip(moving + np.random.default_rng(1).normal(0, 12, moving.shape), 0, 255).astype(np.uint8)
    low, middle, high = (frame_statistics(video).sharpness for video in (soft, moving, grained))
    assert low < middle < high


@pytest.mark.parametrize(("down", "across"), [(0, 1), (1, 0), (1, 1)])
def test_a_mesh_shows_at_the_pixel_grid(moving: Video, down: int, across: int) -> None:
    """Three levels of columns, rows or squares that alternate, beside as much grain."""
    rows, columns = np.mgrid[: moving.shape[1], : moving.shape[2]]
    mesh_HW = 3 * (-1) ** (down * rows + across * columns)
    meshed = np.clip(moving.astype(int) + mesh_HW[..., None], 0, 255).astype(np.uint8)
    grained = np.clip(moving + np.random.default_rng(1).normal(0, 3, moving.shape), 0, 255).astype(np.uint8)
    assert grid_power(moving) < grid_power(grained) < grid_power(meshed) / 10


def test_drift_names_what_drifts(moving: Video) -> None:
    """A video that fades to grey, and turns red."""
    fade = np.linspace(1, 0.5, len(moving))[:, None, None, None]
    faded = (128 + (moving.astype(float) - 128) * fade).astype(np.uint8)
    assert drift(faded, moving, 2).contrast < 0.7
    red = np.clip(moving + np.linspace(0, 40, len(moving))[:, None, None, None] * [1, 0, 0], 0, 255).astype(np.uint8)
    assert drift(red, moving, 2).color > 20 and drift(moving, moving, 2).color == 0


def test_diversity_is_the_mean_difference_of_pairs() -> None:
    black, grey = np.zeros((4, 8, 8, 3), np.uint8), np.full((4, 8, 8, 3), 51, np.uint8)
    fading = black.copy()
    fading[:2] = 51
    assert diversity([black, black, black], 2) == (0, 0)
    assert diversity([black, grey], 2) == pytest.approx((0.2, 0.2))
    assert diversity([black, fading], 2) == pytest.approx((0.1, 0))


def test_a_still_frame_has_no_warp_error(moving: Video, taught: Taught) -> None:
    with pytest.raises(UsageError, match="give longer sequences"):
        measured(moving[:1], moving[:1], taught)


def test_there_and_back() -> None:
    assert there_and_back(4, 9) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert there_and_back(1, 3) == [0, 0, 0]
