"""Edits of label maps, and the tables that remap ids."""

import numpy as np
import pytest

from flowreel.pipeline.edits import apply_edits, remap_table, thing_regions
from flowreel.schemas.edit import Replace
from flowreel.schemas.label_space import LabelClass, LabelSpace
from flowreel.schemas.label_spaces import BUILT_IN

CITYSCAPES = BUILT_IN["cityscapes"]
ROAD, BUILDING, VEGETATION, PERSON, CAR, TRUCK = 7, 11, 21, 24, 26, 27
LABEL_THW = np.array([[[ROAD, CAR, CAR], [VEGETATION, PERSON, BUILDING]]], np.uint8)
INSTANCE_THW = np.array([[[7, 26001, 26002], [21, 24000, 11]]], np.uint16)


def replace(old: int | str, new: int | str) -> Replace:
    return Replace.model_validate({"replace": old, "with": new})


@pytest.mark.parametrize(
    ("edits", "label", "instance"),
    [
        ([], LABEL_THW.tolist(), INSTANCE_THW.tolist()),
        (
            [replace("vegetation", "building")],
            [[[ROAD, CAR, CAR], [BUILDING, PERSON, BUILDING]]],
            [[[7, 26001, 26002], [0, 24000, 11]]],
        ),
        (
            [replace("car", TRUCK)],
            [[[ROAD, TRUCK, TRUCK], [VEGETATION, PERSON, BUILDING]]],
            INSTANCE_THW.tolist(),
        ),
        (
            [replace("car", "road")],
            [[[ROAD, ROAD, ROAD], [VEGETATION, PERSON, BUILDING]]],
            [[[7, 0, 0], [21, 24000, 11]]],
        ),
        (
            [replace("car", "person"), replace("person", "road")],
            [[[ROAD, ROAD, ROAD], [VEGETATION, ROAD, BUILDING]]],
            [[[7, 0, 0], [21, 0, 11]]],
        ),
        (
            [replace("person", "road"), replace("car", "person")],
            [[[ROAD, PERSON, PERSON], [VEGETATION, ROAD, BUILDING]]],
            [[[7, 26001, 26002], [21, 0, 11]]],
        ),
        ([replace("sky", "road")], LABEL_THW.tolist(), INSTANCE_THW.tolist()),
    ],
    ids=["none", "stuff to stuff", "thing to thing", "thing to stuff", "in order", "other order", "absent"],
)
def test_a_class_becomes_another_one(edits: list[Replace], label: object, instance: object) -> None:
    label_THW, instance_THW = apply_edits(LABEL_THW, INSTANCE_THW, edits, CITYSCAPES)
    assert instance_THW is not None
    assert label_THW.tolist() == label and instance_THW.tolist() == instance
    assert label_THW.dtype == np.uint8 and instance_THW.dtype == np.uint16


def test_the_maps_that_are_edited_stay_as_they_are() -> None:
    label_THW, instance_THW = LABEL_THW.copy(), INSTANCE_THW.copy()
    apply_edits(label_THW, instance_THW, [replace("car", "road")], CITYSCAPES)
    assert np.array_equal(label_THW, LABEL_THW) and np.array_equal(instance_THW, INSTANCE_THW)


def test_labels_without_instances() -> None:
    label_THW, instance_THW = apply_edits(LABEL_THW, None, [replace(CAR, ROAD)], CITYSCAPES)
    assert label_THW[0, 0].tolist() == [ROAD] * 3 and instance_THW is None


@pytest.mark.parametrize("edit", [replace("cars", "road"), replace("car", "roads"), replace("car", 35)])
def test_an_unknown_class_is_refused(edit: Replace) -> None:
    with pytest.raises(ValueError, match="is no class of label space 'cityscapes'"):
        apply_edits(LABEL_THW, None, [edit], CITYSCAPES)


def test_an_edit_reads_like_what_it_does() -> None:
    assert [str(replace("car", "road")), str(replace(26, 7))] == ["replace car with road", "replace 26 with 7"]


def test_the_regions_of_things_stand_in_for_instances() -> None:
    regions_THW = thing_regions(LABEL_THW, CITYSCAPES)
    assert regions_THW.tolist() == [[[0, CAR, CAR], [0, PERSON, 0]]] and regions_THW.dtype == np.uint8


def test_a_remap_table_changes_only_what_it_names() -> None:
    table = remap_table({19: 7, 255: "unlabeled", 65535: "car", 7: 8}, CITYSCAPES)
    changed = np.flatnonzero(table != np.arange(65536))
    assert {int(i): int(table[i]) for i in changed} == {7: 8, 19: 7, 255: 0, 65535: 26}  # 19 is not sent on to 8
    assert table[np.array([[19, 23]])].tolist() == [[7, 23]]


def test_a_remap_reaches_ids_of_16_bits() -> None:
    space = LabelSpace(name="wide", classes=(LabelClass(id=40000, name="far", color=(0, 0, 0)),))
    assert remap_table({3: "far"}, space)[3] == 40000


@pytest.mark.parametrize(
    ("remap", "message"),
    [
        ({-1: 7}, r"source id -1 outside 0\.\.65535"),
        ({65536: 7}, r"source id 65536 outside 0\.\.65535"),
        ({3: 99}, "99 is no class of label space 'cityscapes'"),
        ({3: "streat"}, "'streat' is no class"),
    ],
)
def test_a_remap_outside_the_ids_is_refused(remap: dict[int, int | str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        remap_table(remap, CITYSCAPES)
