"""COCO's keypoints: annotations/person_keypoints_SPLIT.json, an annotation per person, or face, and frame."""

from typing import Any

import numpy as np

from flowreel.pipeline.sources.keypoints.published import FACE, PERSON, PERSON_SKELETON, People
from flowreel.schemas.source import SourceSpec

CATEGORY = 1  # as in COCO; those of label maps are in the other files


def keypoint_category(source: SourceSpec) -> dict[str, Any]:
    """Gives the category of https://cocodataset.org/#format-data, section 2."""
    names, skeleton = (FACE, ()) if source.face else (PERSON, PERSON_SKELETON)
    return {
        "id": CATEGORY, "name": "face" if source.face else "person", "supercategory": "person",
        "keypoints": list(names), "skeleton": [list(pair) for pair in skeleton],
    }  # fmt: skip


def keypoint_annotations(people: People) -> list[dict[str, Any]]:
    """Gives the annotations of one frame. Box and area are those of the points: nothing else is known of a body's
    outline."""
    found = []
    for person in people:
        points_N3 = np.reshape(person["points"], (-1, 3))
        seen_K2 = points_N3[points_N3[:, 2] > 0, :2]
        if not len(seen_K2):
            continue  # nobody is in sight
        (x0, y0), (x1, y1) = seen_K2.min(axis=0).tolist(), seen_K2.max(axis=0).tolist()
        width, height = max(x1 - x0, 1.0), max(y1 - y0, 1.0)
        found.append({
            "category_id": CATEGORY, "track_id": person["track"], "iscrowd": 0, "num_keypoints": len(seen_K2),
            "keypoints": [round(value, 3) for value in person["points"]],
            "bbox": [round(value, 3) for value in (x0, y0, width, height)], "area": round(width * height, 3),
        })  # fmt: skip
    return found
