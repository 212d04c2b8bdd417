"""Real frames, renders of their labels, and known damage: the measures tell them apart."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_ids, decode_image, resize_ids, resize_image
from flowreel.pipeline.quality.measure import Columns, measure
from flowreel.pipeline.quality.perceptual_hash import apart
from flowreel.schemas.manifest import QUALITY

Rgb, Ids = NDArray[np.uint8], NDArray[np.integer]
SIZE, FPS, FRAMES = (256, 128), 4, 8
ROAD, BUILDING, TREES, CAR = 7, 11, 21, 26


def read(data: Path, sequence: str, size: tuple[int, int] = SIZE, frames: int = FRAMES) -> tuple[Rgb, Ids]:
    """The first frames of a real sequence and their labels."""
    names = sorted((data / "cityscapes-sample" / sequence / "images").iterdir())[:frames]
    labels = sorted((data / "cityscapes-sample" / sequence / "labels").iterdir())[:frames]
    images = np.stack([resize_image(decode_image(name.read_bytes()), size) for name in names])
    return images, np.stack([resize_ids(decode_ids(name.read_bytes()), size) for name in labels])


@pytest.fixture(scope="module")
def real(shared_data: Path) -> tuple[Rgb, Ids]:
    return read(shared_data, "seq0002")


@pytest.fixture(scope="module")
def whole(real: tuple[Rgb, Ids]) -> Columns:
    return measure(*real, FPS)


def mean(columns: Columns, name: str) -> float:
    return float(np.mean([value for value in columns[name] if value is not None]))


def test_all_columns_have_a_value_per_frame(whole: Columns) -> None:
    nulls = {name: sum(value is None for value in values) for name, values in whole.items()}
    first = {"warp_error": 1, "flicker": 1, "frozen": 1}
    assert nulls == {name: 0 for name in whole} | first | {"label_agreement": FRAMES}
    assert all(len(values) == FRAMES for values in whole.values()) and set(QUALITY) < set(whole)


def test_noise_is_too_sharp_and_blur_is_not_sharp_enough(real: tuple[Rgb, Ids], whole: Columns) -> None:
    image_THW3, label_THW = real
    noise = np.random.default_rng(0).normal(0, 12, image_THW3.shape)
    noisy = measure(np.clip(image_THW3 + noise, 0, 255).astype(np.uint8), label_THW, FPS)
    blurred = measure(np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in image_THW3]), label_THW, FPS)
    assert mean(noisy, "sharpness") > 1.5 * mean(whole, "sharpness")
    assert mean(blurred, "sharpness") < mean(whole, "sharpness") / 2
    assert mean(blurred, "warp_error") < mean(whole, "warp_error")  # which is why warp error alone is not enough


def test_shifted_labels_do_not_lie_on_edges(real: tuple[Rgb, Ids], whole: Columns) -> None:
    image_THW3, label_THW = real
    shifted = measure(image_THW3, np.roll(label_THW, 12, axis=2), FPS)
    assert mean(whole, "label_edges") > 1.5 > mean(shifted, "label_edges")


def test_frozen_frames_stand_still_while_labels_move(real: tuple[Rgb, Ids], whole: Columns) -> None:
    image_THW3, label_THW = real
    still = measure(np.stack([image_THW3[0]] * FRAMES), label_THW, FPS)
    assert still["frozen"] == [None] + [1.0] * (FRAMES - 1)
    assert mean(whole, "frozen") < 0.6
    assert mean(still, "warp_error") == 0  # a frozen clip looks perfect to it


def test_flicker_is_light_that_comes_and_goes(real: tuple[Rgb, Ids], whole: Columns) -> None:
    image_THW3, label_THW = real
    uneven = image_THW3.copy()
    uneven[::2] = (uneven[::2] * 0.9).astype(np.uint8)
    assert mean(measure(uneven, label_THW, FPS), "flicker") > 4 * mean(whole, "flicker")


def test_drift_grows_as_a_clip_fades(real: tuple[Rgb, Ids], whole: Columns) -> None:
    image_THW3, label_THW = real
    faded = np.stack([(frame * (1 - 0.05 * t)).astype(np.uint8) for t, frame in enumerate(image_THW3)])
    drifts = [d for d in measure(faded, label_THW, FPS)["drift"] if d is not None]
    assert drifts[FPS:] == sorted(drifts[FPS:]) and drifts[-1] > 2 * max(d or 0 for d in whole["drift"])


def test_a_black_frame_has_no_contrast_and_a_grey_one_no_saturation(real: tuple[Rgb, Ids], whole: Columns) -> None:
    image_THW3, label_THW = real
    black = measure(np.zeros_like(image_THW3[:1]), label_THW[:1], FPS)
    assert black["contrast"] == black["saturation"] == black["sharpness"] == [0.0]
    grey = np.repeat(image_THW3[:1, ..., :1], 3, axis=-1)
    assert measure(grey, label_THW[:1], FPS)["saturation"] == [0.0]
    assert min(c for c in whole["contrast"] if c is not None) > 0.05


def test_hashes_are_near_for_the_same_scene_and_far_for_another(real: tuple[Rgb, Ids], shared_data: Path) -> None:
    other, labels = read(shared_data, "seq0000", frames=1)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", real[0][0], [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_UNCHANGED)
    frames = np.stack([real[0][0], jpeg, other[0]])
    hashes = np.array(measure(frames, np.stack([labels[0]] * 3), FPS)["phash"], np.uint64)
    same, different = apart(hashes[:1], hashes[1:])
    assert same <= 4 and different >= 16


def test_warp_error_orders_real_video_renders_single_frames_and_shuffled_ones(
    real: tuple[Rgb, Ids], shared_data: Path, one_thread: None
) -> None:
    from flowreel.pipeline.generator.checkpoint import checkpoint_store, read_checkpoint
    from flowreel.pipeline.generator.clip_data import Conditioning
    from flowreel.pipeline.generator.clips import RenderOptions, render_clips
    from flowreel.pipeline.generator.engine import engine_for
    from flowreel.pipeline.generator.loading import load_generator

    image_THW3, label_THW = real
    names = sorted((shared_data / "cityscapes-sample" / "seq0002" / "instances").iterdir())[:FRAMES]
    instance_THW = np.stack([resize_ids(decode_ids(name.read_bytes()), SIZE) for name in names])
    engine = engine_for(load_generator(read_checkpoint(checkpoint_store("bundled", {})), "cpu"), kind="plain")

    def render(frames: slice) -> Rgb:
        given = Conditioning(label_THW[frames], instance_THW[frames])
        return render_clips(engine, [given], RenderOptions())[0].image_THW3

    single = np.concatenate([render(slice(t, t + 1)) for t in range(FRAMES)])
    shuffled = image_THW3[[0, 5, 2, 7, 4, 1, 6, 3]]
    videos = (image_THW3, render(slice(None)), single, shuffled)
    errors = [mean(measure(video, label_THW, FPS), "warp_error") for video in videos]
    assert errors == sorted(errors) and len(set(errors)) == 4, errors
