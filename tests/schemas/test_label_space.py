"""Label spaces: the built-in ones, their checks, and those from files."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from pydantic import ValidationError

from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_space import LabelClass, LabelSpace
from flowreel.schemas.label_spaces import BUILT_IN

CITYSCAPES, CAMVID11 = BUILT_IN["cityscapes"], BUILT_IN["camvid11"]
CLASSES: list[dict[str, object]] = [
    {"id": 0, "name": "ground", "color": [1, 2, 3]},
    {"id": 300, "name": "robot", "color": [255, 0, 0], "kind": "thing", "ignore": True},
]
TWO = {"name": "two", "version": 3, "classes": CLASSES}


def test_the_built_in_spaces_have_all_ids_in_order() -> None:
    assert [c.id for c in CITYSCAPES.classes] == list(range(35)) and CITYSCAPES.ids == frozenset(range(35))
    assert [c.name for c in CAMVID11.classes] == [
        *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian"),
        *("bicyclist", "void"),
    ]
    assert [space.name for space in BUILT_IN.values()] == list(BUILT_IN)
    assert list(BUILT_IN) == [
        *("cityscapes", "camvid11", "person", "densepose", "face-parts"),
        *("camvid", "idd", "carla", "mapillary-v1.2", "cityscapes-train-ids"),
    ]


@pytest.mark.parametrize(
    ("space", "name", "number", "color"),
    [
        (CITYSCAPES, "unlabeled", 0, (0, 0, 0)),
        (CITYSCAPES, "road", 7, (128, 64, 128)),
        (CITYSCAPES, "sidewalk", 8, (244, 35, 232)),
        (CITYSCAPES, "traffic light", 19, (250, 170, 30)),
        (CITYSCAPES, "person", 24, (220, 20, 60)),
        (CITYSCAPES, "car", 26, (0, 0, 142)),
        (CITYSCAPES, "bicycle", 33, (119, 11, 32)),
        (CITYSCAPES, "license plate", 34, (0, 0, 142)),
        (CAMVID11, "sky", 0, (128, 128, 128)),
        (CAMVID11, "car", 8, (64, 0, 128)),
        (CAMVID11, "void", 11, (0, 0, 0)),
    ],
)
def test_classes_resolve_by_name_and_id_and_have_their_colour(
    space: LabelSpace, name: str, number: int, color: tuple[int, int, int]
) -> None:
    assert space.resolve(name) == space.resolve(number) == number
    assert space.by_id[number].color == color


def test_things_are_what_can_be_counted() -> None:
    assert CITYSCAPES.things == frozenset(range(24, 34))
    assert CAMVID11.things == {8, 9, 10}


def test_ignored_classes_are_those_outside_the_evaluation() -> None:
    evaluated = [c.id for c in CITYSCAPES.classes if not c.ignore]
    assert evaluated == [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert [c.name for c in CAMVID11.classes if c.ignore] == ["void"]


@pytest.mark.parametrize("key", ["cars", "7", 35, -1, ""])
def test_an_unknown_class_is_refused_with_the_choices(key: int | str) -> None:
    with pytest.raises(ValueError, match="is no class of label space 'cityscapes'") as caught:
        CITYSCAPES.resolve(key)
    assert str(caught.value).startswith(repr(key)) and "26 car" in str(caught.value)


@pytest.mark.parametrize(
    ("numbers", "names", "message"),
    [
        ((1, 1), ("a", "b"), r"label space 'x': id \[1\] used by more than one class"),
        ((1, 2), ("a", "a"), r"label space 'x': name \['a'\] used by more than one class"),
    ],
)
def test_ids_and_names_are_unique(numbers: tuple[int, int], names: tuple[str, str], message: str) -> None:
    classes = tuple(LabelClass(id=i, name=n, color=(0, 0, 0)) for i, n in zip(numbers, names, strict=True))
    with pytest.raises(ValidationError, match=message):
        LabelSpace(name="x", classes=classes)


def test_the_digest_follows_every_part_of_a_class() -> None:
    def digest(**change: object) -> str:
        return LabelSpace.model_validate(TWO | {"classes": [CLASSES[0], CLASSES[1] | change]}).digest

    changes: list[dict[str, object]] = [
        {"id": 1}, {"name": "drone"}, {"color": (255, 0, 1)}, {"kind": "stuff"}, {"ignore": False},
    ]  # fmt: skip
    assert len({digest(), *(digest(**c) for c in changes)}) == 6
    used = LabelSpace.model_validate(TWO)
    assert used.things == {300} and used.digest == digest()  # what is computed once is no part of it


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"memory://{uuid4().hex}"


def test_built_in_names_need_no_file() -> None:
    assert open_label_space("camvid11", {}) is CAMVID11


@pytest.mark.parametrize(("name", "text"), [("space.yaml", yaml.safe_dump(TWO)), ("space.json", json.dumps(TWO))])
def test_a_space_is_read_from_a_file(folder: str, name: str, text: str) -> None:
    open_store(folder).write(name, text.encode())
    space = open_label_space(f"{folder}/{name}", {})
    assert (space.name, space.version) == ("two", 3) and space.ids == {0, 300} and space.things == {300}
    assert space.by_id[300].color == (255, 0, 0) and space.by_id[300].ignore
    assert space.by_id[0].kind == "stuff" and not space.by_id[0].ignore


def test_a_file_in_the_working_folder_needs_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.json").write_text(json.dumps(TWO))
    assert open_label_space("space.json", {}) == open_label_space("./space.json", {})


@pytest.mark.parametrize("name", ["cityscape", "a/b.yaml", "a/"])
def test_a_name_that_is_neither_built_in_nor_a_file(folder: str, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_label_space(f"{folder}/{name}", {})
    assert str(caught.value).startswith(
        f"source.label_space: '{folder}/{name}' is neither built in ({', '.join(BUILT_IN)}) nor a readable file: "
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "not a text file, where YAML is needed"),
        (b"name: [x", "not valid YAML: line 1, column 9"),
        (b"just words", "must be a mapping of fields, not a single value"),
        (b"{}", "classes: missing, but required"),
        (b"{name: x, classes: []}", "classes: must have at least 1 item, not 0"),
        (b"{name: x, classes: [{id: 0, name: a}]}", "classes[0].color: missing, but required"),
        (b"{name: x, classes: [{id: 0, name: a, colour: [0, 0, 0]}]}", "colour: unknown field; did you mean 'color'?"),
        (
            b"{name: x, classes: [{id: 65536, name: a, color: [0, 0, 0]}]}",
            "classes[0].id: must be at most 65535, is 65536",
        ),
        (b"{name: x, classes: [{id: 0, name: a, color: [0, 0, 256]}]}", "classes[0].color[2]: must be"),
        (
            b"{name: x, classes: [{id: 0, name: a, color: [0, 0, 0]}, {id: 0, name: b, color: [0, 0, 0]}]}",
            "label space 'x': id [0] used by more than one class",
        ),
    ],
)
def test_a_broken_file_is_refused_with_its_name_and_place(folder: str, content: bytes, message: str) -> None:
    open_store(folder).write("space.yaml", content)
    with pytest.raises(UsageError) as caught:
        open_label_space(f"{folder}/space.yaml", {})
    assert f"{folder}/space.yaml" in str(caught.value) and message in str(caught.value)
