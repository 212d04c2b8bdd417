"""Faces: landmark files, cut-outs and maps; and the sizes pictures are brought to."""

import json
import sys

import numpy as np
import pytest

from flowreel.pipeline.generator.conditioning import from_uint8, to_uint8
from flowreel.pipeline.sources.keypoints.crop import target_size
from flowreel.pipeline.sources.keypoints.face_pictures import (
    PART_LABELS,
    STROKES,
    FaceOptions,
    draw_distances,
    draw_edges,
    draw_parts,
    encode_face,
    encode_parts,
)
from flowreel.pipeline.sources.keypoints.landmarks import face_crop, parse_landmarks, with_forehead

SIZE = (200, 180)


@pytest.fixture
def face() -> np.ndarray:
    """A face of simple shapes: jaw, brows, nose, eyes, mouth, each where it belongs."""
    angle = np.linspace(0, np.pi, 17)
    jaw = np.stack((100 - 40 * np.cos(angle), 85 + 45 * np.sin(angle)), axis=-1)

    def arc(x: float, y: float, width: float, height: float, count: int) -> np.ndarray:
        turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
        return np.stack((x - width * np.cos(turn), y - height * np.sin(turn)), axis=-1)

    def row(x0: float, x1: float, y: float, count: int) -> np.ndarray:
        return np.stack((np.linspace(x0, x1, count), np.full(count, y)), axis=-1)

    nose = np.concatenate((np.stack((np.full(4, 100.0), np.linspace(82, 97, 4)), axis=-1), row(93, 107, 102, 5)))
    brow = np.array([[0, 0], [0, -3], [0, -4], [0, -3], [0, 0]])
    parts = [
        jaw,
        row(70, 90, 75, 5) + brow,
        row(110, 130, 75, 5) + brow,
        nose,
        arc(82, 85, 8, 4, 6),
        arc(118, 85, 8, 4, 6),
    ]
    return np.concatenate([*parts, arc(100, 115, 16, 7, 12), arc(100, 115, 10, 3, 8)]).round()


def text_of(points: np.ndarray) -> str:
    return "".join(f"{x:g},{y:g}\n" for x, y in points)


# Landmark files


def test_landmarks_are_read_from_lines_or_json(face: np.ndarray) -> None:
    np.testing.assert_array_equal(parse_landmarks(text_of(face), "f.txt"), face)
    np.testing.assert_array_equal(parse_landmarks(text_of(face).encode(), "f.txt"), face)
    np.testing.assert_array_equal(parse_landmarks(json.dumps(face.tolist()), "f.json"), face)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.txt: 0 lines, but a face has 68 landmarks"),
        ("1,2\n" * 67, "f.txt: 67 lines, but a face has 68 landmarks"),
        ("1,2\n" * 70, "f.txt: 70 lines"),
        ("1,2\n3 4\n", "f.txt, line 2: '3 4' is not 'x,y'"),
        ("1,2,3\n", "f.txt, line 1: '1,2,3' is not 'x,y'"),
        ("1,nan\n", "f.txt, line 1: '1,nan' is not finite"),
        ("[[1, 2], [3]]", "f.txt, point 2: '3' is not 'x,y'"),
        ("[[1, 2]", "f.txt: starts with '\\[' but is not JSON"),
        ("[[1, 2]]", "f.txt: 1 points, but a face has 68"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_landmarks(text, "f.txt")


def test_bytes_that_are_no_text_are_named() -> None:
    with pytest.raises(ValueError, match="f.txt: not text"):
        parse_landmarks(b"\xff\xfe1", "f.txt")


def test_the_jaw_is_mirrored_upward(face: np.ndarray) -> None:
    points = with_forehead(face)
    assert points.shape == (83, 2)
    np.testing.assert_array_equal(points[68:, 0], face[15:0:-1, 0])
    assert points[75, 1] == 85 + np.floor(2 * (85 - face[8, 1]) / 3)  # the chin becomes the top
    with pytest.raises(ValueError, match=r"landmarks of shape \(5, 2\)"):
        with_forehead(face[:5])


# Cut-outs


def test_the_cut_out_is_a_square_around_the_face(face: np.ndarray) -> None:
    """Its centre is a quarter of the way from the brows to the chin."""
    assert face_crop(face + (100, 100), (400, 400)) == (100, 85, 300, 285)


def test_the_cut_out_stays_in_the_picture(face: np.ndarray) -> None:
    assert face_crop(face - (60, 75), (400, 400)) == (0, 0, 200, 200)
    x0, y0, x1, y1 = face_crop(face + (250, 250), (400, 400))
    assert (x1, y1) == (400, 400) and x1 - x0 == y1 - y0 == 200
    x0, y0, x1, y1 = face_crop(face, (150, 140))  # larger than the picture: what there is of it
    assert x0 >= 0 and y0 >= 0 and x1 <= 150 and y1 <= 140


def test_a_face_without_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="0 pixels wide: too small"):
        face_crop(np.ones((68, 2)), SIZE)


# Maps


def test_all_parts_and_strokes_are_drawn(face: np.ndarray) -> None:
    assert set(np.unique(draw_parts(face, SIZE))) == set(range(PART_LABELS))
    edge_HW, away_KHW = draw_edges(face, SIZE), draw_distances(face, SIZE)
    assert set(np.unique(edge_HW)) == {0, 255} and away_KHW.shape == (len(STROKES), SIZE[1], SIZE[0])
    assert (away_KHW[:, edge_HW > 0].min(axis=0) == 0).all()  # each edge pixel lies on some stroke
    assert away_KHW.max() > 20


def test_channels_are_chosen(face: np.ndarray) -> None:
    image_HW3, crop = np.zeros((SIZE[1], SIZE[0], 3), np.uint8), face_crop(face, SIZE)
    full = encode_face(face, image_HW3, crop, (64, 64), FaceOptions(background_edges=False))
    assert full.shape == (15, 64, 64) and full.dtype == np.float32 and full.min() >= 0 and full.max() <= 1
    edges = encode_face(face, image_HW3, crop, (64, 64), FaceOptions(distances=False, background_edges=False))
    np.testing.assert_array_equal(edges, full[:1])
    assert set(np.unique(encode_parts(face, SIZE, crop, (64, 64)))) == set(range(PART_LABELS))


def test_edges_around_the_face_come_from_the_picture(face: np.ndarray) -> None:
    pytest.importorskip("skimage")
    image_HW3, crop = np.zeros((SIZE[1], SIZE[0], 3), np.uint8), face_crop(face, SIZE)
    image_HW3[:, 20:] = 255
    image_HW3[95:100, 95:105] = 0  # inside the face: left out
    options = FaceOptions(distances=False)
    plain = encode_face(face, image_HW3, crop, (64, 64), FaceOptions(distances=False, background_edges=False))
    extra = np.argwhere(encode_face(face, image_HW3, crop, (64, 64), options)[0] != plain[0])
    assert len(extra) and extra[:, 1].max() < 16


def test_a_missing_package_is_named(face: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    image_HW3 = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    with pytest.raises(ValueError, match=r"pip install 'flowreel\[face\]'"):
        encode_face(face, image_HW3, face_crop(face, SIZE), (64, 64), FaceOptions())


# Sizes and values


@pytest.mark.parametrize(
    ("size", "mode", "load_size", "expected"),
    [
        ((1280, 720), "scaleWidth", 512, (512, 288)),
        ((1280, 720), "scaleHeight", 512, (896, 512)),  # 912 / 32 = 28.5: to the even multiple
        ((500, 333), "scaleWidth", 1024, (1024, 672)),
        ((48, 80), "none", 0, (64, 64)),
        ((16, 100), "none", 0, (0, 96)),
        ((1280, 720), "resize_and_crop", 500, (500, 500)),
        ((1286, 722), "crop", 0, (1288, 720)),  # 4 * round(180.5) is 720
        ((1286, 722), "scaleWidth_and_scaledCrop", 1000, (1000, 560)),
    ],
)
def test_target_sizes(size: tuple[int, int], mode: str, load_size: int, expected: tuple[int, int]) -> None:
    assert target_size(size, mode, load_size) == expected


def test_a_drawn_side_is_given() -> None:
    assert target_size((1000, 500), "randomScaleWidth", 512, drawn=600) == (608, 288)
    assert target_size((1000, 500), "randomScaleHeight", 512, drawn=300) == (608, 288)
    with pytest.raises(ValueError, match="draws the side that it names at random"):
        target_size((1000, 500), "randomScaleHeight", 512)


def test_values_there_and_back() -> None:
    import torch

    levels = torch.arange(256, dtype=torch.uint8)
    assert from_uint8(levels).min() == -1 and from_uint8(levels).max() == 1
    assert (to_uint8(from_uint8(levels)).int() - levels).abs().max() <= 1  # truncation may lose one
    assert to_uint8(torch.tensor([-1.5, 0.0, 0.999999, 2.0])).tolist() == [0, 127, 254, 255]
