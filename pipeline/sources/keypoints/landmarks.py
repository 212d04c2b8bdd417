"""Face landmarks: 68 points in dlib's order, parsed, and what follows from them without drawing."""

import json
from math import floor, trunc

import numpy as np

from flowreel.pipeline.sources.keypoints.drawing import Points

COUNT = 68
MIRRORED = tuple(range(15, 0, -1))  # jaw points whose mirror images above are points 68, 69, ..., 82
_JAW_ENDS = (0, 16)

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, ends excluded


def parse_landmarks(text: str | bytes, name: str) -> Points:
    """Parses 68 lines "x,y", or JSON, a list of 68 lists [x, y], to (68, 2) pixels.

    Raises ValueError naming file (``name``) and line, or point, for anything else.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: not text: {error}") from None
    if text.lstrip().startswith("["):
        what, texts = "point", _listed(text, name)
    else:
        what, texts = "line", text.strip().splitlines()
    points = [_point(line, f"{name}, {what} {number}") for number, line in enumerate(texts, 1)]
    if len(points) != COUNT:
        raise ValueError(f"{name}: {len(points)} {what}s, but a face has {COUNT} landmarks, one line 'x,y' each")
    return np.array(points, np.float64)


def _listed(text: str, name: str) -> list[str]:
    """Turns JSON's points into lines."""
    try:
        points = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name}: starts with '[' but is not JSON: {error}") from None
    return [",".join(map(str, point)) if isinstance(point, list) else repr(point) for point in points]


def _point(line: str, where: str) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in line.split(","))
    except ValueError:
        raise ValueError(f"{where}: {line[:40]!r} is not 'x,y', two numbers with a comma between") from None
    if not (np.isfinite(x) and np.isfinite(y)):
        raise ValueError(f"{where}: {line[:40]!r} is not finite")
    return x, y


def with_forehead(landmark_68: Points) -> Points:
    """Adds points 68..82: the jaw mirrored upward at two thirds of its height, (83, 2)."""
    if landmark_68.shape != (COUNT, 2):
        raise ValueError(f"landmarks of shape {landmark_68.shape}; a face has {COUNT} points (x, y)")
    base = sum(trunc(landmark_68[end, 1]) for end in _JAW_ENDS) / 2
    above = []
    for i in MIRRORED:
        x, y = (trunc(value) for value in landmark_68[i])
        above.append((x, trunc(base + floor(2 * (base - y) / 3))))
    return np.concatenate((landmark_68, np.array(above, np.float64)))


def face_crop(landmark_68: Points, size: tuple[int, int]) -> Box:
    """Gives the square around a face that is kept, moved into the picture of ``size`` (width, height).

    Where it is larger than the picture, it ends at the picture's edges. Raises ValueError for a face that is too small.
    """
    (x_low, y_low), (x_high, y_high) = landmark_68.min(axis=0), landmark_68.max(axis=0)
    side = 2.5 * (x_high - x_low)
    half = floor(side / 2)
    if half < 1:
        raise ValueError(f"the face is {x_high - x_low:g} pixels wide: too small to crop")

    def bounds(centre: int, length: int) -> tuple[int, int]:
        moved = min(max(0, centre - half) + side, length) - half
        return max(0, trunc(moved - half)), trunc(moved + half)

    x0, x1 = bounds(floor((x_low + x_high) / 2), size[0])
    y0, y1 = bounds(floor((3 * y_low + y_high) / 4), size[1])
    return x0, y0, x1, y1
