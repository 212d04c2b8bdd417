"""Warp error and the gate over it."""

import cv2
import numpy as np
import pytest

from flowreel.pipeline.optical_flow import brisk_flow
from flowreel.pipeline.quality.gates import bounds_of, gate
from flowreel.pipeline.quality.motion import warp_errors
from flowreel.schemas.manifest import QUALITY
from flowreel.schemas.quality import QualitySpec

H, W = 64, 96


def texture(seed: int = 0, margin: int = 16) -> np.ndarray:
    """Smooth colour noise, (H + 2 margin, W + 2 margin, 3): structures of some pixels, as optical flow needs them."""
    noise = np.random.default_rng(seed).random((H + 2 * margin, W + 2 * margin, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    low, high = smooth.min(), smooth.max()
    return ((smooth - low) / (high - low) * 255).astype(np.uint8)


def panned(dx: int, dy: int, frames: int = 4) -> np.ndarray:
    """A window that moves over the texture: (T, H, W, 3)."""
    picture = texture()
    return np.stack([picture[16 + t * dy :, 16 + t * dx :][:H, :W] for t in range(frames)])


def noise(frames: int = 4) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (frames, H, W, 3), np.uint8)


def test_the_first_frame_has_no_error() -> None:
    assert warp_errors(panned(0, 0, frames=1)) == [None]
    assert warp_errors(panned(1, 0))[0] is None


def test_still_frames_have_none_at_all() -> None:
    assert warp_errors(panned(0, 0)) == [None, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (-2, 1), (3, -2)])
def test_what_only_moves_has_a_small_error(dx: int, dy: int) -> None:
    frames = panned(dx, dy)
    errors = warp_errors(frames)
    unaligned = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3)) / 255
    assert len(errors) == 4
    for error, plain in zip(errors[1:], unaligned, strict=True):
        assert error is not None and error < 0.02 and error < plain / 4  # the motion is taken out


def test_frames_that_have_nothing_in_common_have_a_large_error() -> None:
    errors = warp_errors(noise())
    assert all(error is not None and 0.15 < error <= 1 for error in errors[1:])


def test_frames_whose_flows_agree_nowhere_are_compared_whole() -> None:
    pairs = (np.random.default_rng(seed).integers(0, 256, (2, 32, 64, 3), np.uint8) for seed in range(1000))
    frames = next(pair for pair in pairs if not brisk_flow(pair[1], pair[0])[1].any())
    error = warp_errors(frames)[1]
    assert error is not None and 0.15 < error <= 1


def test_a_cut_shows_where_it_is() -> None:
    frames = np.concatenate([panned(1, 0, frames=3), 255 - panned(1, 0, frames=2)])
    errors = warp_errors(frames)
    known = [-1.0 if e is None else e for e in errors]
    assert int(np.argmax(known)) == 3
    assert known[3] > 5 * sorted(known)[-2]


def test_colour_counts_though_flow_sees_grey() -> None:
    frames = np.full((2, H, W, 3), 128, np.uint8)
    frames[1] = (186, 100, 128)  # as grey as before to 1 level, another colour
    error = warp_errors(frames)[1]
    assert error == pytest.approx((58 + 28 + 0) / 3 / 255, abs=1e-3)


def test_the_frames_are_not_changed() -> None:
    frames = noise(2)
    before = frames.copy()
    warp_errors(frames)
    np.testing.assert_array_equal(frames, before)


def test_the_gate_says_what_where_and_how_much() -> None:
    bounds = QualitySpec(max_warp_error=0.05)
    rejection = gate({"warp_error": [None, 0.01, 0.0812345, 0.06]}, bounds)
    assert rejection == ("warp_error", "warp_error 0.0812 at frame 2 above quality.max_warp_error 0.05")


@pytest.mark.parametrize(
    "errors", [[None], [None, 0.05], [None, 0.0, 0.049]], ids=["single frame", "at the bound", "below"]
)
def test_the_gate_lets_through_what_keeps_the_bound(errors: list[float | None]) -> None:
    assert gate({"warp_error": errors}, QualitySpec(max_warp_error=0.05)) is None


def test_without_a_bound_everything_passes() -> None:
    assert gate({"warp_error": [None, 1.0]}, QualitySpec()) is None


def test_a_lower_bound_is_on_the_least_frame() -> None:
    rejection = gate({"sharpness": [9.0, 2.5, None]}, QualitySpec(min_sharpness=3))
    assert rejection == ("sharpness", "sharpness 2.5000 at frame 1 below quality.min_sharpness 3")
    assert gate({"sharpness": [3.0, None]}, QualitySpec(min_sharpness=3)) is None


def test_every_bound_is_on_a_column_of_the_manifest() -> None:
    given = {name: 0.5 for name in QualitySpec.model_fields if "segmenter" not in name}
    bounds = bounds_of(QualitySpec(segmenter="s.safetensors", **given))
    assert len(bounds) == len(given) > 10
    assert {bound.column for bound in bounds} <= set(QUALITY)
