"""Which entry of panoptic JSON files describes a picture."""

import json
from typing import Any

import numpy as np
import pytest

from flowreel.pipeline.sources.encodings.segments import of_files

PICTURE_HW4 = np.array([[[1, 0, 0, 255], [2, 0, 0, 255]]], np.uint8)  # segments 1 and 2


def panoptic(*pictures: tuple[str, int]) -> bytes:
    """Describes pictures of two segments, the first of the category given."""
    annotations: list[dict[str, Any]] = [
        {"file_name": name, "segments_info": [{"id": 1, "category_id": first}, {"id": 2, "category_id": 26}]}
        for name, first in pictures
    ]
    return json.dumps({"categories": [{"id": 26, "isthing": 1}], "annotations": annotations}).encode()


def test_pictures_of_one_name_belong_to_the_json_of_their_folder() -> None:
    found = of_files(
        [(f"s3://b/panoptic_{split}.json", panoptic(("1.png", c))) for split, c in (("train", 7), ("val", 11))]
    )
    for split, category in (("train", 7), ("val", 11)):
        categories_HW, _ = found.decode(PICTURE_HW4, f"annotations/panoptic_{split}/1.png")
        assert categories_HW.tolist() == [[category, 26]]
    with pytest.raises(
        ValueError, match=r"panoptic_train.json and .*panoptic_val.json list other segments for '1.png'"
    ):
        found.decode(PICTURE_HW4, "masks/1.png")


def test_json_files_of_one_name_do_not_replace_each_other() -> None:
    found = of_files([(f"s3://b/{split}/panoptic.json", panoptic(("1.png", c))) for split, c in (("a", 7), ("b", 11))])
    with pytest.raises(ValueError, match="list other segments"):
        found.decode(PICTURE_HW4, "a/panoptic/1.png")
    same = of_files([(f"s3://b/{split}/panoptic.json", panoptic(("1.png", 7))) for split in "ab"])
    assert same.decode(PICTURE_HW4, "a/panoptic/1.png")[0].tolist() == [[7, 26]]


def test_an_entry_describes_one_picture() -> None:
    found = of_files([("p.json", panoptic(("1.png", 7), ("b/2.png", 7)))])
    (problem,) = found.problems(["a/1.png", "b/1.png", "b/2.png", "c/3.png"])
    assert problem.startswith("b/1.png: the panoptic JSON has one entry for it and a/1.png; ")
    with pytest.raises(ValueError, match=r"lists 1.png twice"):
        of_files([("p.json", panoptic(("1.png", 7), ("1.png", 11)))])
    with pytest.raises(ValueError, match="which lists 2 pictures"):
        found.decode(PICTURE_HW4, "c/3.png")
