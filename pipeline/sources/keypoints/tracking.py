"""Tracks people from frame to frame by where their keypoints are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.sources.keypoints.openpose import Person
from flowreel.pipeline.sources.keypoints.pose_pictures import BODY_LEAST

FARTHEST = 0.5  # heights of a body by which its points move on average between sightings, at most
MEMORY = 10  # frames after which an unseen person counts as gone
_NEVER = 1e6

Box4 = NDArray[np.float64]  # x0, y0, x1, y1


def track_people(people_T: Sequence[Sequence[Person]]) -> list[list[int]]:
    """Numbers each person of each frame, the same for one person over time; 0 has the largest body."""
    last: dict[int, tuple[int, Person]] = {}  # track -> frame and person, when seen last
    tracks_T: list[list[int]] = []
    for t, people in enumerate(people_T):
        near = [(track, person) for track, (seen, person) in last.items() if t - seen <= MEMORY]
        matched = _matched(people, [person for _, person in near])
        tracks = [near[k][0] if k is not None else None for k in matched]
        new = len({track for known in tracks_T for track in known})
        numbers = [track if track is not None else (new := new + 1) - 1 for track in tracks]
        last |= {track: (t, person) for track, person in zip(numbers, people, strict=True)}
        tracks_T.append(numbers)
    size: dict[int, float] = {}
    for people, numbers in zip(people_T, tracks_T, strict=True):
        for person, track in zip(people, numbers, strict=True):
            size[track] = size.get(track, 0.0) + _area(person)
    rank = {track: i for i, track in enumerate(sorted(size, key=lambda track: (-size[track], track)))}
    return [[rank[track] for track in tracks] for tracks in tracks_T]


def body_box(person: Person) -> Box4:
    """Gives the box around the points of the body that were found; NaN if there are none."""
    points = person.body[person.body[:, 2] > BODY_LEAST, :2]
    if not len(points):
        return np.full(4, np.nan)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def main_boxes(people_T: Sequence[Sequence[Person]]) -> list[Box4]:
    """Gives the main person's box in each frame, NaN where it is out of sight."""
    found = []
    for people, tracks in zip(people_T, track_people(people_T), strict=True):
        boxes = [body_box(person) for person, track in zip(people, tracks, strict=True) if track == 0]
        found.append(boxes[0] if boxes else np.full(4, np.nan))
    return found


def _matched(people: Sequence[Person], known: Sequence[Person]) -> list[int | None]:
    """Matches each person with a known one, at the least total distance; None for newcomers."""
    from scipy.optimize import linear_sum_assignment  # slow to import, and most sources have no people

    if not people or not known:
        return [None] * len(people)
    cost = np.array([[_distance(a, b) for b in known] for a in people])
    cost[cost > FARTHEST] = _NEVER  # or a newcomer could cost others theirs
    found: list[int | None] = [None] * len(people)
    for i, k in zip(*linear_sum_assignment(cost), strict=True):
        if cost[i, k] <= FARTHEST:
            found[int(i)] = int(k)
    return found


def _distance(one: Person, other: Person) -> float:
    """Gives the mean distance of the points that both have, in heights of the larger body."""
    both = (one.body[:, 2] > BODY_LEAST) & (other.body[:, 2] > BODY_LEAST)
    if not both.any():
        return _NEVER
    height = max(box[3] - box[1] for box in (body_box(one), body_box(other)))
    distance = np.linalg.norm(one.body[both, :2] - other.body[both, :2], axis=1).mean()
    return float(distance / max(height, 1.0))


def _area(person: Person) -> float:
    x0, y0, x1, y1 = body_box(person)
    return float(np.nan_to_num((x1 - x0) * (y1 - y0)))
