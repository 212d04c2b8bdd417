"""Generated street scenes: deterministic, well-formed, and one world over time."""

import hashlib

import numpy as np
import pytest

from flowreel.pipeline.sources.scenes import Label, Scene, street_scene
from flowreel.schemas.errors import UsageError

SIZE = (256, 128)
THINGS = [Label.PERSON, Label.RIDER, Label.CAR, Label.TRUCK, Label.BUS, Label.BICYCLE]


@pytest.fixture(scope="module", params=[0, 1, 7])
def scene(request: pytest.FixtureRequest) -> Scene:
    return street_scene(request.param, 20, SIZE)


def digest(scene: Scene) -> str:
    return hashlib.sha256(scene.label_THW.tobytes() + scene.instance_THW.tobytes()).hexdigest()


def shares(scene: Scene) -> np.ndarray:
    return np.bincount(scene.label_THW.ravel(), minlength=34) / scene.label_THW.size


def test_shapes_types_and_ids(scene: Scene) -> None:
    assert scene.label_THW.shape == scene.instance_THW.shape == (20, 128, 256)
    assert scene.label_THW.dtype == np.dtype(np.uint8)
    assert scene.instance_THW.dtype == np.dtype(np.uint16)
    assert set(np.unique(scene.label_THW)) <= {int(label) for label in Label}


def test_the_seed_alone_decides() -> None:
    np.random.seed(5)
    first = digest(street_scene(3, 4, SIZE))
    np.random.seed(6)
    assert digest(street_scene(3, 4, SIZE)) == first


def test_other_seeds_are_other_streets() -> None:
    scenes = [street_scene(seed, 1, SIZE) for seed in range(5)]
    for index, one in enumerate(scenes):
        for other in scenes[:index]:
            assert np.mean(one.label_THW != other.label_THW) > 0.05


def test_shares_of_a_driving_view() -> None:
    share_C = np.mean([shares(street_scene(seed, 1, SIZE)) for seed in range(30)], axis=0)
    bounds = {Label.ROAD: (0.3, 0.5), Label.BUILDING: (0.15, 0.35), Label.VEGETATION: (0.06, 0.25)}
    bounds |= {Label.SKY: (0.02, 0.12), Label.CAR: (0.02, 0.12), Label.SIDEWALK: (0.01, 0.1)}
    for label, (low, high) in bounds.items():
        assert low < share_C[label] < high, label.name
    assert all(share_C[label] > 0 for label in set(Label) - {Label.TRUCK, Label.BUS})


def test_an_instance_is_one_thing_over_all_frames(scene: Scene) -> None:
    is_thing_THW = np.isin(scene.label_THW, THINGS)
    assert np.array_equal(scene.instance_THW > 0, is_thing_THW)
    ids = np.unique(scene.instance_THW[is_thing_THW])
    assert len(ids) >= 3
    for instance in ids:
        assert len(np.unique(scene.label_THW[scene.instance_THW == instance])) == 1


def test_frames_change_a_little_at_a_time(scene: Scene) -> None:
    changed_T = np.mean(scene.label_THW[1:] != scene.label_THW[:-1], axis=(1, 2))
    assert changed_T.min() > 0.001
    assert changed_T.max() < 0.25
    assert np.mean(scene.label_THW[0] != scene.label_THW[-1]) > changed_T.mean()


def test_parked_cars_grow_and_move_outwards_as_they_come_near() -> None:
    grown = 0
    for seed in range(8):
        scene = street_scene(seed, 12, SIZE)
        right_THW = np.where(scene.label_THW == Label.CAR, scene.instance_THW, 0)[:, :, 150:230]
        for instance in set(np.unique(right_THW[0])) & set(np.unique(right_THW[-1])) - {0}:
            places = [np.nonzero(scene.instance_THW[frame] == instance) for frame in (0, 11)]
            tops, sides = [rows.max() - rows.min() for rows, _ in places], [columns.mean() for _, columns in places]
            grown += bool(tops[1] > 1.2 * tops[0] and sides[1] > sides[0])
    assert grown >= 4


@pytest.mark.parametrize("size", [(32, 32), (100, 300), (640, 100), (128, 128)])
def test_any_size(size: tuple[int, int]) -> None:
    scene = street_scene(4, 2, size)
    assert scene.label_THW.shape == (2, size[1], size[0])
    assert scene.label_THW[:, -1, size[0] // 2].tolist() == [Label.ROAD] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0, SIZE), "frames is 0, must be 1 or more"),
        ((-1, 1, SIZE), "seed is -1, must be 0 or more"),
        ((0, 1, (31, 64)), r"size is \(31, 64\), must be .* 32 pixels or more"),
        ((0, 1, (64, 8)), r"size is \(64, 8\)"),
    ],
)
def test_bad_arguments(arguments: tuple[int, int, tuple[int, int]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        street_scene(*arguments)
