"""Poses: what OpenPose files must hold, and the rules of drawing that single pixels show."""

import json
from typing import Any

import numpy as np
import pytest

from flowreel.pipeline.sources.keypoints.crop import central_columns, central_crop, whole_crop
from flowreel.pipeline.sources.keypoints.drawing import curve, paint, paint_white
from flowreel.pipeline.sources.keypoints.openpose import BODY, COUNTS, FACE, LEFT, RIGHT, Person, parse_people
from flowreel.pipeline.sources.keypoints.pose_pictures import (
    PoseFrame,
    PoseOptions,
    draw_skeleton,
    encode_densepose,
    encode_pose,
)

SIZE = (160, 96)
MIDDLE = central_crop(SIZE, (128, 64))


def person(**points: dict[int, tuple[float, float, float]]) -> dict[str, Any]:
    """Points by key and number, all others missing."""
    values = {key: np.zeros((count, 3)) for key, count in COUNTS.items()}
    for key, given in points.items():
        for number, point in given.items():
            values[key][number] = point
    return {key: value.flatten().tolist() for key, value in values.items()}


def people(*persons: dict[str, Any]) -> list[Person]:
    return parse_people(json.dumps({"people": persons}), "f.json")


def drawn(*persons: dict[str, Any], basic: bool = False) -> np.ndarray:
    return draw_skeleton(people(*persons), SIZE, basic)


SPINE = {1: (40.0, 20.0, 0.9), 8: (40.0, 60.0, 0.9)}


# Curves and brush


def test_a_line_is_sampled_along_its_longer_side_and_truncated() -> None:
    assert curve(np.array([[1.0, 2.0], [4.5, 3.0]])).tolist() == [[1, 2], [2, 2], [4, 3]]
    assert curve(np.array([[3.0, 6.0], [2.0, 2.0]])).tolist() == [[2, 2], [2, 3], [2, 4], [3, 6]]


def test_what_is_shorter_than_a_pixel_is_not_drawn() -> None:
    assert len(curve(np.array([[1.0, 2.0], [1.9, 2.5]]))) == 0
    assert len(curve(np.array([[1.0, 2.0], [1.0, 2.0]]))) == 0


def test_a_parabola_goes_through_three_points_unless_it_is_too_steep() -> None:
    shallow = curve(np.array([[0.0, 0.0], [5.0, 5.0], [10.0, 0.0]]))
    assert shallow[0].tolist() == [0, 0] and shallow[:, 1].max() in (4, 5)
    assert len(curve(np.array([[0.0, 0.0], [1.0, 4.0], [4.0, 0.0]]))) == 0


def test_the_brush_reaches_further_up_and_left() -> None:
    canvas = np.zeros((9, 9, 3), np.uint8)
    paint(canvas, np.array([[4, 4]]), 1, (200, 0, 0), ends=False)
    assert np.argwhere(canvas.any(axis=-1)).tolist() == [[3, 3], [3, 4], [4, 3], [4, 4]]
    assert set(canvas[..., 0].flatten()) == {0, 200}


def test_over_something_the_whole_set_is_averaged_and_truncated() -> None:
    canvas = np.zeros((3, 6, 3), np.uint8)
    canvas[1, 1] = (11, 0, 0)
    row = np.array([[x, 1] for x in range(1, 5)])
    paint(canvas, row + (1, 1), 1, (0, 100, 0), ends=False)  # offset -1, -1 comes first: it meets the pixel
    assert canvas[1, 1].tolist() == [5, 50, 0]
    assert (canvas[1, 2:5] != 0).any(axis=-1).all()


def test_what_is_outside_moves_to_the_border() -> None:
    canvas = np.zeros((4, 4), np.uint8)
    paint_white(canvas, np.array([[-7, 2], [9, 9]]))
    assert np.argwhere(canvas).tolist() == [[1, 0], [2, 0], [3, 3]]


# Skeletons


def test_a_missing_point_has_no_edges() -> None:
    assert drawn(person(**{BODY: SPINE})).any()
    for x, confidence in ((0.0, 0.9), (40.0, 0.01)):
        assert not drawn(person(**{BODY: SPINE | {8: (x, 60.0, confidence)}})).any()


def test_a_finger_needs_all_its_points_and_a_face_group_too() -> None:
    finger = {i: (20.0 + 5 * i, 30.0, 0.02) for i in range(5)}
    assert drawn(person(**{LEFT: finger})).any() and drawn(person(**{RIGHT: finger})).any()
    assert not drawn(person(**{LEFT: finger | {4: (40.0, 30.0, 0.01)}})).any()
    brow = {i: (20.0 + 5 * (i - 17), 30.0, 0.11) for i in range(17, 22)}
    assert (drawn(person(**{FACE: brow})) == 255).any()
    assert not drawn(person(**{FACE: brow | {20: (35.0, 30.0, 0.1)}})).any()


def test_the_jaw_is_not_drawn() -> None:
    assert not drawn(person(**{FACE: {i: (20.0 + 5 * i, 30.0, 0.9) for i in range(17)}})).any()


def test_basic_skeletons_have_no_head_hands_or_face() -> None:
    fine = {LEFT: {i: (20.0 + 5 * i, 30.0, 0.9) for i in range(5)}}
    head = {0: (50.0, 20.0, 0.9), 15: (60.0, 20.0, 0.9)}
    assert drawn(person(**{BODY: head}, **fine)).any()
    assert not drawn(person(**{BODY: head}, **fine), basic=True).any()
    assert drawn(person(**{BODY: SPINE}), basic=True).any()


def test_people_are_added_modulo_256() -> None:
    one = drawn(person(**{BODY: SPINE}))
    np.testing.assert_array_equal(drawn(*[person(**{BODY: SPINE})] * 2), one + one)
    assert (one.astype(int) * 2 > 255).any()


# Tensors


def test_the_part_index_fills_the_range() -> None:
    densepose_HW3 = np.zeros((1, 4, 3), np.uint8)
    densepose_HW3[0, :, 2] = (0, 6, 12, 24)
    encoded_3HW = encode_densepose(densepose_HW3, whole_crop((4, 1), (4, 1)))
    np.testing.assert_allclose(encoded_3HW[2, 0], [-1, -0.5, 0, 1], atol=1e-6)
    assert (encoded_3HW[:2] == -1).all()


@pytest.mark.parametrize(("width", "kept"), [(448, 192), (896, 448), (1824, 896), (128, 64)])
def test_about_the_middle_half_is_kept(width: int, kept: int) -> None:
    columns = central_columns(width)
    assert columns.stop - columns.start == kept and columns.start + columns.stop == 2 * (width // 2)


def test_channels_are_chosen() -> None:
    frame = PoseFrame(SIZE, np.full((SIZE[1], SIZE[0], 3), 24, np.uint8), people(person(**{BODY: SPINE})))
    both = encode_pose(frame, MIDDLE, PoseOptions())
    assert both.shape == (6, 64, 64) and both.dtype == np.float32
    np.testing.assert_array_equal(encode_pose(frame, MIDDLE, PoseOptions(openpose=False)), both[:3])
    only = PoseFrame(SIZE, people=frame.people)
    np.testing.assert_array_equal(encode_pose(only, MIDDLE, PoseOptions(densepose=False)), both[3:])


def test_what_is_missing_or_of_another_size_is_named() -> None:
    with pytest.raises(ValueError, match="conditioned on densepose maps, and there is none"):
        encode_pose(PoseFrame(SIZE, people=[]), MIDDLE, PoseOptions())
    with pytest.raises(ValueError, match="conditioned on skeletons"):
        encode_pose(PoseFrame(SIZE), MIDDLE, PoseOptions(densepose=False))
    with pytest.raises(ValueError, match=r"picture's size \(96, 160, 3\), but is uint8 \(4, 4, 3\)"):
        PoseFrame(SIZE, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="64 pixels are too narrow"):
        central_columns(64)
    with pytest.raises(ValueError, match="neither densepose nor openpose"):
        PoseOptions(densepose=False, openpose=False)


# OpenPose files


def broken(key: str, value: Any) -> str:
    return json.dumps({"people": [person(), person() | {key: value}]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "f.json: not JSON"),
        ("[]", "f.json: no list 'people'"),
        ('{"people": {}}', "f.json: no list 'people'"),
        ('{"people": [7]}', "f.json, person 0: 7 is no object"),
        ('{"people": [{}]}', "f.json, person 0: no 'pose_keypoints_2d'"),
        (broken(BODY, [0.0] * 54), "f.json, person 1, pose_keypoints_2d: 54 numbers, but 25 keypoints have 75"),
        (broken(FACE, []), "f.json, person 1, face_keypoints_2d: 0 numbers, .*; run OpenPose with --hand and --face"),
        (broken(LEFT, "x"), "f.json, person 1, hand_left_keypoints_2d: 'x' is no list"),
        (broken(RIGHT, [0.0] * 62 + ["a"]), "hand_right_keypoints_2d, keypoint 20: 'a' is no finite number"),
        (broken(BODY, [0.0] * 74 + [None]), "pose_keypoints_2d, keypoint 24: None is no finite number"),
        (broken(BODY, [float("nan")] + [0.0] * 74), "pose_keypoints_2d, keypoint 0: nan is no finite number"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_people(text, "f.json")


def test_bodies_alone_are_enough_for_basic_skeletons() -> None:
    text = json.dumps({"people": [{BODY: person(**{BODY: SPINE})[BODY]}]})
    bodies = parse_people(text, "f.json", body_only=True)
    assert draw_skeleton(bodies, SIZE, basic=True).any()
    with pytest.raises(ValueError, match="hands and face were not read"):
        draw_skeleton(bodies, SIZE)


def test_nobody_is_a_black_picture() -> None:
    assert not draw_skeleton(parse_people('{"people": []}', "f.json"), SIZE).any()
