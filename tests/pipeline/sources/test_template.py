"""Templates: which paths are frames of which sequence, and in which order."""

import pytest

from flowreel.pipeline.sources.template import Template, natural


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("{sequence}/labels/*.png", "a/labels/000.png", ("a", "000")),
        ("{sequence}/labels/*.png", "city/a/labels/000.png", ("city/a", "000")),
        ("{sequence}/labels/*.png", "a/labels/labels/0.png", ("a/labels", "0")),
        ("{sequence}/labels/*.png", "labels/000.png", None),
        ("{sequence}/labels/*.png", "a/labels/deep/000.png", None),
        ("{sequence}/labels/*.png", "a/labels/000.png.part", None),
        ("{sequence}/labels/*.png", "a/labels/000_png", None),
        ("{sequence}/labels/*.png", "a/labels/000.PNG", ("a", "000")),
        ("{sequence}/labels/*.png", "a/Labels/000.png", None),
        ("{sequence}_*_gtFine_labelIds.png", "aachen/aachen_0_19_gtFine_labelIds.png", ("aachen/aachen_0", "19")),
        ("{sequence}_*_L.png", "0016E5_07959_L.png", ("0016E5", "07959")),
        ("{sequence}_*_L.png", "0016E5_07959_L.tif.png", None),
        ("labels/{sequence}.png", "labels/train/0000f77c-6257be58.PNG", ("train/0000f77c-6257be58", "0")),
        ("labels/run{sequence}/*.png", "labels/run7/1.png", ("7", "1")),
        ("*-{sequence}.png", "000001-left.png", ("left", "000001")),
        ("*-{sequence}.png", "a-b/000001-left.png", None),
        ("{sequence}/*_gtFine_labelIds.png", "a/a_000000_000019_gtFine_labelIds.png", ("a", "a_000000_000019")),
        ("{sequence}/*_gtFine_labelIds.png", "aachen/aachen_000000_000019_gtFine_color.png", None),
        ("train/{sequence}/*.png", "train/a/b/1.png", ("a/b", "1")),
        ("train/{sequence}/*.png", "val/a/1.png", None),
        ("train/{sequence}/*.png", "train/1.png", None),
        ("{sequence}/*.png", "a.b+(c)/[1].png", ("a.b+(c)", "[1]")),
        ("x.y/{sequence}/f(*)", "x.y/a/f(1)", ("a", "1")),
        ("x.y/{sequence}/f(*)", "xzy/a/f(1)", None),
    ],
)
def test_a_path_is_a_frame_of_a_sequence_or_not(template: str, path: str, expected: tuple[str, str] | None) -> None:
    assert Template(template).match(path) == expected


@pytest.mark.parametrize(
    ("template", "prefix"),
    [
        *(("{sequence}/labels/*.png", ""), ("train/{sequence}/*.png", "train"), ("a/b/{sequence}/c/*.png", "a/b")),
        *(("{sequence}_*.png", ""), ("a/b/{sequence}.png", "a/b"), ("a/run_{sequence}/*.png", "a")),
    ],
)
def test_listing_starts_at_the_folder_above_the_sequences(template: str, prefix: str) -> None:
    assert Template(template).prefix == prefix


@pytest.mark.parametrize(
    "ordered",
    [
        ["frame2", "frame10"],
        ["1", "02", "3", "10", "010a"],
        ["a", "a1", "a1b", "a2", "b"],
        ["s1/x10", "s2/x9", "s10/x1"],
        ["9" * 30, "1" + "0" * 30],
    ],
)
def test_numbers_are_ordered_by_value(ordered: list[str]) -> None:
    assert sorted(reversed(ordered), key=natural) == ordered
