"""OpenPose's JSON files: people and their keypoints."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keypoints = NDArray[np.float64]  # (N, 3): x, y in pixels, confidence in [0, 1]

BODY, FACE, LEFT, RIGHT = "pose_keypoints_2d", "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d"
COUNTS = {BODY: 25, FACE: 70, LEFT: 21, RIGHT: 21}


@dataclass(frozen=True)
class Person:
    """Keypoints of one person, numbered as OpenPose's BODY_25, face and hand models do."""

    body: Keypoints  # 25
    face: Keypoints | None = None  # 70; None where only the body is wanted
    left_hand: Keypoints | None = None  # 21
    right_hand: Keypoints | None = None  # 21


def parse_people(text: str | bytes, name: str, body_only: bool = False) -> list[Person]:
    """Parses the people of one frame. Raises ValueError naming file (``name``), person and key for anything that is
    wrong.

    With ``body_only``, hands and faces are ignored and may be missing.
    """
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name}: not JSON: {error}") from None
    people = tree.get("people") if isinstance(tree, dict) else None
    if not isinstance(people, list):
        raise ValueError(f"{name}: no list 'people'; a file that OpenPose writes with --write_json is needed")
    found = []
    for number, person in enumerate(people):
        where = f"{name}, person {number}"
        if not isinstance(person, dict):
            raise ValueError(f"{where}: {_shown(person)} is no object with keypoints")
        keys = [BODY] if body_only else [BODY, FACE, LEFT, RIGHT]
        found.append(Person(*[_keypoints(person, key, where) for key in keys]))
    return found


def _keypoints(person: dict[str, Any], key: str, where: str) -> Keypoints:
    if key not in person:
        raise ValueError(f"{where}: no '{key}'{_advice(key)}")
    values, count = person[key], COUNTS[key]
    if not isinstance(values, list):
        raise ValueError(f"{where}, {key}: {_shown(values)} is no list of numbers")
    if len(values) != 3 * count:
        raise ValueError(
            f"{where}, {key}: {len(values)} numbers, but {count} keypoints have {3 * count}: x, y, confidence of each"
            + (_advice(key) if not values else "")
        )
    for i, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise ValueError(f"{where}, {key}, keypoint {i // 3}: {_shown(value)} is no finite number")
    return np.array(values, np.float64).reshape(count, 3)


def _advice(key: str) -> str:
    if key == BODY:
        return "; run OpenPose with its BODY_25 model"
    return "; run OpenPose with --hand and --face, or draw bodies only (basic_point_only)"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
