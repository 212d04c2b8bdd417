"""Draws conditioning pictures of poses: OpenPose skeletons and DensePose maps (vid2vid's pose task).

A frame has 3 channels of densepose, then 3 of the skeleton, all in [-1, 1]; or only one of the two.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.sources.keypoints.crop import Crop
from flowreel.pipeline.sources.keypoints.drawing import Canvas, Colour, curve, paint
from flowreel.pipeline.sources.keypoints.openpose import Keypoints, Person

BODY_LEAST, HAND_LEAST, FACE_LEAST = 0.01, 0.01, 0.1  # confidence that a point must exceed
BODY_BRUSH, FINE_BRUSH = 3, 1
PARTS = 24  # densepose's body parts, 1..24 in its third channel

# Point pairs and colours in drawing order; the head comes first, and is left out of basic skeletons.
HEAD: list[tuple[int, int, Colour]] = [
    (17, 15, (153, 0, 153)),
    (15, 0, (153, 0, 102)),
    (0, 16, (102, 0, 153)),
    (16, 18, (51, 0, 153)),
]
BODY: list[tuple[int, int, Colour]] = [
    (0, 1, (153, 0, 51)),
    (1, 8, (153, 0, 0)),
    (1, 2, (153, 51, 0)),
    (2, 3, (153, 102, 0)),
    (3, 4, (153, 153, 0)),
    (1, 5, (102, 153, 0)),
    (5, 6, (51, 153, 0)),
    (6, 7, (0, 153, 0)),
    (8, 9, (0, 153, 51)),
    (9, 10, (0, 153, 102)),
    (10, 11, (0, 153, 153)),
    (11, 24, (0, 153, 153)),
    (11, 22, (0, 153, 153)),
    (22, 23, (0, 153, 153)),
    (8, 12, (0, 102, 153)),
    (12, 13, (0, 51, 153)),
    (13, 14, (0, 0, 153)),
    (14, 21, (0, 0, 153)),
    (14, 19, (0, 0, 153)),
    (19, 20, (0, 0, 153)),
]
FINGERS: list[tuple[tuple[int, ...], Colour]] = [
    ((0, 1, 2, 3, 4), (204, 0, 0)),
    ((0, 5, 6, 7, 8), (163, 204, 0)),
    ((0, 9, 10, 11, 12), (0, 204, 82)),
    ((0, 13, 14, 15, 16), (0, 82, 204)),
    ((0, 17, 18, 19, 20), (163, 0, 204)),
]
WHITE: Colour = (255, 255, 255)
FACE: list[tuple[int, ...]] = [
    tuple(range(17, 22)),
    tuple(range(22, 27)),
    tuple(range(27, 31)),
    tuple(range(31, 36)),
    (36, 37, 38, 39),
    (39, 40, 41, 36),
    (42, 43, 44, 45),
    (45, 46, 47, 42),
    tuple(range(48, 55)),
    (*range(54, 60), 48),
]


@dataclass(frozen=True)
class PoseOptions:
    """The options that a pose generator was trained with."""

    densepose: bool = True
    openpose: bool = True
    basic: bool = False  # skeletons without head, hands and face

    def __post_init__(self) -> None:
        if not (self.densepose or self.openpose):
            raise ValueError("neither densepose nor openpose: a pose has no channels")

    @property
    def channels(self) -> int:
        """Counts the channels of a frame."""
        return 3 * (self.densepose + self.openpose)


def draw_skeleton(people: Sequence[Person], size: tuple[int, int], basic: bool = False) -> Canvas:
    """Draws skeletons on black at the picture's own ``size`` (width, height), (H, W, 3).

    Each person is drawn alone; where people overlap, their values are added, modulo 256.
    """
    total_HW3 = np.zeros((size[1], size[0], 3), np.uint8)
    for person in people:
        canvas_HW3 = np.zeros_like(total_HW3)
        for one, other, colour, brush in _edges(person, basic):
            if one[0] and other[0]:  # x is 0: the point is missing
                paint(canvas_HW3, curve(np.stack((one, other))), brush, colour, ends=True)
        total_HW3 += canvas_HW3
    return total_HW3


Edge = tuple[NDArray[np.float64], NDArray[np.float64], Colour, int]  # two points (x, y), colour, brush


def _edges(person: Person, basic: bool) -> Iterator[Edge]:
    """Yields a person's edges in drawing order."""
    body = np.where(person.body[:, 2:] > BODY_LEAST, person.body[:, :2], 0)
    for one, other, colour in BODY if basic else HEAD + BODY:
        yield body[one], body[other], colour, BODY_BRUSH
    if basic:
        return
    for hand in (person.left_hand, person.right_hand):
        for group, colour in FINGERS:
            yield from _joined(hand, group, HAND_LEAST, colour)
    for group in FACE:
        yield from _joined(person.face, group, FACE_LEAST, WHITE)


def _joined(points: Keypoints | None, group: Iterable[int], least: float, colour: Colour) -> Iterator[Edge]:
    """Yields edges between a group's consecutive points, if all of them are known."""
    if points is None:
        raise ValueError("hands and face were not read; read them, or draw basic skeletons")
    chosen = points[list(group)]
    if (chosen[:, 2] > least).all():
        for one, other in zip(chosen[:-1, :2], chosen[1:, :2], strict=True):
            yield one, other, colour, FINE_BRUSH


@dataclass(frozen=True)
class PoseFrame:
    """The people in one picture; what the generator is not conditioned on may be missing."""

    size: tuple[int, int]  # of the picture: width, height
    densepose_HW3: NDArray[np.uint8] | None = None  # RGB
    people: Sequence[Person] | None = None

    def __post_init__(self) -> None:
        map_HW3, (width, height) = self.densepose_HW3, self.size
        if map_HW3 is not None and (map_HW3.shape != (height, width, 3) or map_HW3.dtype != np.uint8):
            raise ValueError(
                f"the densepose map must be 8-bit RGB of the picture's size {(height, width, 3)}, but is"
                f" {map_HW3.dtype} {map_HW3.shape}"
            )


def encode_pose(frame: PoseFrame, crop: Crop, options: PoseOptions) -> NDArray[np.float32]:
    """Encodes one frame's channels, (L, H, W) in [-1, 1], of the crop.

    Raises ValueError if something is missing that the generator is conditioned on.
    """
    parts = []
    if options.densepose:
        if frame.densepose_HW3 is None:
            raise ValueError("this generator is conditioned on densepose maps, and there is none")
        parts.append(encode_densepose(frame.densepose_HW3, crop))
    if options.openpose:
        if frame.people is None:
            raise ValueError("this generator is conditioned on skeletons, and there are no OpenPose keypoints")
        parts.append(_encoded(draw_skeleton(frame.people, frame.size, options.basic), crop))
    return np.concatenate(parts)


def encode_densepose(densepose_HW3: NDArray[np.uint8], crop: Crop) -> NDArray[np.float32]:
    """Encodes a DensePose map as (3, H, W): the part index in the third channel fills the range."""
    picture_3HW = _encoded(densepose_HW3, crop)
    index_HW = (picture_3HW[2] * np.float32(0.5) + np.float32(0.5)) * np.float32(255)
    picture_3HW[2] = (index_HW / np.float32(PARTS) - np.float32(0.5)) / np.float32(0.5)
    return picture_3HW


def _encoded(picture_HW3: NDArray[np.uint8], crop: Crop) -> NDArray[np.float32]:
    """Crops by nearest neighbour and scales to (3, H, W) in [-1, 1]."""
    half = np.float32(0.5)
    return (crop.nearest(picture_HW3).transpose(2, 0, 1).astype(np.float32) / np.float32(255) - half) / half
