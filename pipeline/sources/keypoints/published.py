"""Keypoints as they are published: COCO's 17 of a person, or dlib's 68 of a face; x, y in pixels and visibility."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.sources.keypoints.crop import Crop
from flowreel.pipeline.sources.keypoints.frames import PointFrame
from flowreel.pipeline.sources.keypoints.tracking import track_people

# https://cocodataset.org/#format-data, section 2; OpenPose's BODY_25 has all of them, in another order.
PERSON = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
PERSON_SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
FACE = tuple(f"dlib_{number}" for number in range(68))
_FROM_BODY_25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
LEAST = 0.01  # confidence above which a point counts, as for drawn skeletons
VISIBLE = 2  # COCO's flag; its 1, labelled but hidden, is nothing that a detector reports

People = list[dict[str, Any]]  # of one frame: a value of the column `keypoints`


def keypoints_of(frames: Sequence[PointFrame], crops: Sequence[Crop]) -> list[People] | None:
    """Gives a clip's keypoints, frame by frame; None if its source has none. People outside the crop are left out."""
    if frames[0].landmark_68 is not None:
        faces = [f.landmark_68 for f in frames if f.landmark_68 is not None]
        return [_kept([(0, face, np.ones(len(face)))], crop) for face, crop in zip(faces, crops, strict=True)]
    if frames[0].people is None:
        return None
    people_T = [frame.people or [] for frame in frames]
    found = []
    for people, tracks, crop in zip(people_T, track_people(people_T), crops, strict=True):
        bodies = [person.body[list(_FROM_BODY_25)] for person in people]
        found.append(_kept([(t, b[:, :2], b[:, 2]) for t, b in zip(tracks, bodies, strict=True)], crop))
    return found


def _kept(people: Sequence[tuple[int, NDArray[np.float64], NDArray[np.float64]]], crop: Crop) -> People:
    """Gives the people in the crop in order of tracks; ``people``: track, points (N, 2) in the picture, confidence
    (N)."""
    found = []
    for track, point_N2, confidence_N in sorted(people, key=lambda person: person[0]):
        moved_N2 = crop.points(point_N2)
        visible_N = (confidence_N > LEAST) & crop.holds(moved_N2)
        if visible_N.any():
            flag_N = np.where(visible_N, VISIBLE, 0)
            points_N3 = np.column_stack([np.where(visible_N[:, None], moved_N2, 0), flag_N]).astype(np.float32)
            confidence = np.where(visible_N, confidence_N, 0).astype(np.float32)
            found.append({"track": track, "points": points_N3.ravel().tolist(), "confidence": confidence.tolist()})
    return found
