"""What must hold of edits whatever the maps are: drawn ones, and real ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from flowreel.pipeline.codec import decode_ids
from flowreel.pipeline.edits import Maps, apply_edits
from flowreel.pipeline.edits.inpaint import REACH
from flowreel.pipeline.edits.instances import no_instance
from flowreel.pipeline.edits.maps import background
from flowreel.pipeline.edits.track import Track, extract, follow, moved, scaled
from flowreel.schemas.edit import Edit
from flowreel.schemas.label_spaces import BUILT_IN

SPACE = BUILT_IN["cityscapes"]
UNLABELED, EGO, ROAD, BUILDING, POLE, SKY, PERSON, CAR = 0, 1, 7, 11, 17, 23, 24, 26
STUFF = (EGO, ROAD, BUILDING, SKY)
THINGS = sorted(SPACE.things)
EDIT: TypeAdapter[Any] = TypeAdapter(Edit)
few = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def edit(**said: Any) -> Edit:
    return EDIT.validate_python(said)


def street(seed: int, objects: int = 3) -> Maps:
    """Blocks of stuff that stay, and boxes of people and cars that move over them, each with an id of its own."""
    rng = np.random.default_rng(seed)
    frames, height, width = (int(n) for n in (rng.integers(1, 9), rng.integers(4, 13), rng.integers(4, 13)))
    block_HW = rng.choice(STUFF, (height, width))
    label_THW = np.repeat(block_HW[None], frames, axis=0).astype(np.uint8)
    instance_THW = np.zeros(label_THW.shape, np.uint16)
    for i in range(objects):
        label = int(rng.choice((PERSON, CAR)))
        top, left = rng.integers(0, (height, width))
        down, right = rng.integers(-1, 2, 2)
        for t in range(frames):
            box = (t, slice(max(0, top + t * down), max(0, top + t * down + 3)),
                   slice(max(0, left + t * right), max(0, left + t * right + 2)))  # fmt: skip
            label_THW[box], instance_THW[box] = label, label * 1000 + i
    return Maps(label_THW, instance_THW)


def applied(maps: Maps, *edits: Edit, donors: tuple[Maps, ...] = ()) -> tuple[Any, Any]:
    label_THW, instance_THW = apply_edits(*maps, edits, SPACE, donors)
    assert instance_THW is not None and maps.instance_THW is not None
    assert (label_THW.dtype, instance_THW.dtype) == (maps.label_THW.dtype, maps.instance_THW.dtype)
    return label_THW, instance_THW


@few
@given(seeds)
def test_what_is_removed_leaves_background_and_all_else_as_it_was(seed: int) -> None:
    maps = street(seed)
    label_THW, instance_THW = applied(maps, edit(remove="car"))
    gone = maps.label_THW == CAR
    np.testing.assert_array_equal(label_THW[~gone], maps.label_THW[~gone])
    np.testing.assert_array_equal(instance_THW[~gone], maps.instance_THW[~gone])
    seen = np.isin(maps.label_THW, sorted(background(SPACE)))
    for t, y, x in np.argwhere(gone):
        near = [u for u in range(len(seen)) if abs(u - t) <= REACH and seen[u, y, x]]
        if near:  # of two frames that are as near, the earlier one
            u = min(near, key=lambda u: (abs(u - t), u))
            assert label_THW[t, y, x] == maps.label_THW[u, y, x]
        elif seen[t].any():
            assert label_THW[t, y, x] in maps.label_THW[t][seen[t]]
        else:
            assert label_THW[t, y, x] == UNLABELED
        assert instance_THW[t, y, x] == 0


@few
@given(seeds)
def test_only_the_instances_that_are_named_go(seed: int) -> None:
    maps = street(seed)
    ids = np.unique(maps.instance_THW[maps.label_THW == CAR])
    if len(ids):
        label_THW, instance_THW = applied(maps, edit(remove="car", instances=[int(ids[0])]))
        assert set(np.unique(instance_THW)) == set(np.unique(maps.instance_THW)) - {ids[0]} | {0}
        for other in set(np.unique(maps.instance_THW)) - {0, ids[0]}:
            np.testing.assert_array_equal(instance_THW == other, maps.instance_THW == other)
        stays = maps.instance_THW != ids[0]
        np.testing.assert_array_equal(label_THW[stays], maps.label_THW[stays])


@few
@given(seeds)
def test_keeping_cars_removes_all_other_things_or_hides_all_else(seed: int) -> None:
    maps = street(seed)
    label_THW, instance_THW = applied(maps, edit(keep=["car"]))
    removed = applied(maps, edit(remove="person"))
    np.testing.assert_array_equal(label_THW, removed[0])
    np.testing.assert_array_equal(instance_THW, removed[1])
    label_THW, instance_THW = applied(maps, edit(**{"keep": ["car"], "with": "unlabeled"}))
    cars = maps.label_THW == CAR
    np.testing.assert_array_equal(label_THW, np.where(cars, CAR, UNLABELED))
    np.testing.assert_array_equal(instance_THW, np.where(cars, maps.instance_THW, 0))


@few
@given(seeds, st.tuples(*[st.sampled_from([-0.5, -0.2, 0.0, 0.3])] * 2))
def test_a_moved_instance_is_where_it_went_and_others_stay(seed: int, by: tuple[float, float]) -> None:
    maps = street(seed)
    for instance in set(np.unique(maps.instance_THW)) - {0}:
        old = extract(maps, int(instance), SPACE)
        new = moved(old, by)
        label_THW, instance_THW = applied(maps, edit(move=int(instance), by=by))
        check_pasted(maps, old, new, int(instance), label_THW, instance_THW)


@few
@given(seeds, st.sampled_from([0.5, 1.0, 1.7, 3.0]))
def test_a_scaled_instance_stands_where_it_stood(seed: int, factor: float) -> None:
    maps = street(seed)
    for instance in set(np.unique(maps.instance_THW)) - {0}:
        old = extract(maps, int(instance), SPACE)
        new = scaled(old, factor)
        if factor >= 1:
            assert [new.ground(t) for t in range(len(old.mask_THW))] == [
                old.ground(t) for t in range(len(old.mask_THW))
            ]
        if factor == 1:
            np.testing.assert_array_equal(new.mask_THW, old.mask_THW)
        label_THW, instance_THW = applied(maps, edit(scale=int(instance), by=factor))
        check_pasted(maps, old, new, int(instance), label_THW, instance_THW)


def check_pasted(maps: Maps, old: Track, new: Track, instance: int, label_THW: Any, instance_THW: Any) -> None:
    """Ids persist where their pixels do; nearer objects hide it; what is under neither place is untouched."""
    has = instance_THW == instance
    assert not (has & ~new.mask_THW).any()
    apart = ~old.mask_THW & ~has
    np.testing.assert_array_equal(label_THW[apart], maps.label_THW[apart])
    np.testing.assert_array_equal(instance_THW[apart], maps.instance_THW[apart])
    np.testing.assert_array_equal(label_THW[has], new.label_THW[has])
    for t in range(len(has)):
        for other in set(np.unique(maps.instance_THW[t])) - {0, instance}:
            of_other = maps.instance_THW[t] == other
            lowest = np.flatnonzero(of_other.any(axis=1))[-1]
            if lowest > new.ground(t):
                np.testing.assert_array_equal(instance_THW[t] == other, of_other)
            else:
                np.testing.assert_array_equal(instance_THW[t] == other, of_other & ~new.mask_THW[t])


@few
@given(seeds, seeds)
def test_an_inserted_object_has_a_new_id_and_hides_only_what_is_behind(seed: int, other: int) -> None:
    maps, donor = street(seed), street(other)
    donor = Maps(*(np.resize(ids, (len(ids), *maps.label_THW.shape[1:])) for ids in donor if ids is not None))
    for instance in sorted(set(np.unique(donor.instance_THW)) - {0})[:1]:
        label_THW, instance_THW = applied(maps, edit(**{"insert": int(instance), "from": "other"}), donors=(donor,))
        new = set(np.unique(instance_THW)) - set(np.unique(maps.instance_THW))
        assert len(new) <= 1
        track = follow(donor, int(instance), SPACE)
        frames = min(len(donor.label_THW), len(maps.label_THW))
        mask, label = (np.zeros(maps.label_THW.shape, a.dtype) for a in (track.mask_THW, track.label_THW))
        mask[:frames], label[:frames] = track.mask_THW[:frames], track.label_THW[:frames]
        nothing = Track(np.zeros_like(mask), label)
        check_pasted(maps, nothing, Track(mask, label), new.pop() if new else 65535, label_THW, instance_THW)
        assert (label_THW[maps.label_THW == EGO] == EGO).all()  # the car's own hood stays in front


def test_an_object_is_followed_where_ids_change_places() -> None:
    """Two cars of which the ids are swapped in the second frame; in the third, one is gone."""
    label_THW, instance_THW = np.full((3, 4, 12), ROAD, np.uint8), np.zeros((3, 4, 12), np.uint16)
    left, right = (slice(1, 3), slice(1, 5)), (slice(1, 3), slice(7, 11))
    for t, (a, b) in enumerate(((5, 6), (6, 5), (0, 6))):
        for place, number in ((left, a), (right, b)):
            label_THW[t][place], instance_THW[t][place] = (CAR if number else ROAD), number
    found = follow(Maps(label_THW, instance_THW), 6, SPACE).mask_THW
    for t in range(3):
        np.testing.assert_array_equal(np.argwhere(found[t])[:, 1].min(), 7)
    gone = follow(Maps(label_THW, instance_THW), 5, SPACE).mask_THW
    assert gone[:2, 1, 1].all() and not gone[2].any()


@few
@given(seeds)
def test_mirrored_twice_or_cropped_to_all_is_as_it_was(seed: int) -> None:
    maps = street(seed)
    for edits in ([edit(mirror="horizontal")] * 2, [edit(crop=[0, 0, 1, 1])]):
        for before, after in zip(maps, applied(maps, *edits), strict=True):
            np.testing.assert_array_equal(before, after)
    once = applied(maps, edit(mirror="horizontal"))
    np.testing.assert_array_equal(once[0], np.flip(maps.label_THW, 2))
    np.testing.assert_array_equal(once[1], np.flip(maps.instance_THW, 2))


@few
@given(seeds)
def test_a_crop_shows_pixels_of_its_part_and_keeps_their_pairs(seed: int) -> None:
    maps = street(seed)
    label_THW, instance_THW = applied(maps, edit(crop=[0.25, 0.5, 0.5, 0.5]))
    height, width = maps.label_THW.shape[1:]
    rows = [int((0.5 + 0.5 * (y + 0.5) / height) * height) for y in range(height)]
    columns = [int((0.25 + 0.5 * (x + 0.5) / width) * width) for x in range(width)]
    for before, after in ((maps.label_THW, label_THW), (maps.instance_THW, instance_THW)):
        np.testing.assert_array_equal(after, before[:, rows][:, :, columns])


def test_a_drop_out_is_ignored_in_its_region_and_frames_only() -> None:
    maps = Maps(np.full((3, 4, 8), CAR, np.uint8), np.full((3, 4, 8), 26001, np.uint16))
    label_THW, instance_THW = applied(maps, edit(drop_out=[0.5, 0.25, 0.25, 0.5], frames=[1, 3]))
    gone = np.zeros((3, 4, 8), np.bool_)
    gone[1:3, 1:3, 4:6] = True
    np.testing.assert_array_equal(label_THW, np.where(gone, UNLABELED, CAR))
    np.testing.assert_array_equal(instance_THW, np.where(gone, 0, 26001))


REAL: dict[str, Callable[[Maps, int], Edit]] = {
    "remove": lambda maps, i: edit(remove="car"),
    "one": lambda maps, i: edit(remove="car", instances=[i]),
    "keep": lambda maps, i: edit(keep=["car"]),
    "move": lambda maps, i: edit(move=i, by=[0.1, 0.05]),
    "scale": lambda maps, i: edit(scale=i, by=2.0),
    "insert": lambda maps, i: edit(**{"insert": i, "from": "seq0004", "scale": 1.5}),
    "replace": lambda maps, i: edit(**{"replace": "vegetation", "with": "building"}),
    "drop out": lambda maps, i: edit(drop_out=[0.2, 0.2, 0.3, 0.3]),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_on_real_maps_pixels_stay_unless_the_edit_is_about_them(shared_data: Path, name: str) -> None:
    """Of every pixel whose label stays, the instance id does too, unless its object is what the edit is about."""
    folder = shared_data / "cityscapes-sample" / "seq0004"
    maps = Maps(*(_read(folder / kind) for kind in ("labels", "instances")))
    assert maps.instance_THW is not None
    none, thing = no_instance(maps.instance_THW), np.isin(maps.label_THW, THINGS)
    cars = maps.instance_THW[(maps.label_THW == CAR) & (maps.instance_THW != none)]
    largest = int(np.bincount(cars).argmax())
    label_THW, instance_THW = applied(maps, REAL[name](maps, largest), donors=(maps,))
    changed = (label_THW != maps.label_THW) | (instance_THW != maps.instance_THW)
    assert 0 < changed.mean() < 0.5
    others = {int(i) for i in np.unique(maps.instance_THW[thing])} - {none, largest}
    for other in others:
        was, now = ((ids == other) & thing for ids in (maps.instance_THW, instance_THW))
        assert not (now & ~was).any()  # no pixel takes another object's id
    kept = ~changed
    np.testing.assert_array_equal(label_THW[kept], maps.label_THW[kept])
    if name == "remove":
        assert not (label_THW == CAR).any()
    if name == "one":
        assert not (instance_THW == largest).any()
    if name == "insert":
        (new,) = set(np.unique(instance_THW).tolist()) - set(np.unique(maps.instance_THW).tolist())
        assert (instance_THW == new).any(axis=(1, 2)).sum() >= 3


def _read(folder: Path) -> Any:
    return np.stack([decode_ids(path.read_bytes()) for path in sorted(folder.iterdir())[:6]])


def test_a_pole_beside_a_hole_does_not_grow_into_it() -> None:
    label_THW = np.full((1, 4, 12), ROAD, np.uint8)
    label_THW[0, :, 4], label_THW[0, :, 5:9] = POLE, CAR
    label_THW, _ = applied(Maps(label_THW, np.zeros(label_THW.shape, np.uint16)), edit(remove="car"))
    assert (label_THW[0, :, 5:9] == ROAD).all() and (label_THW[0, :, 4] == POLE).all()
