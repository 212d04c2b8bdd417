"""Draws conditioning pictures of face landmarks: an edge map and distances from its strokes (vid2vid's face task).

A frame has 1 channel of edges and 14 of distances, in [0, 1]. The map of part labels (0..6) tells the feature encoder
which part is where; it is no channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.sources.keypoints.drawing import Canvas, Points, curve, paint_white
from flowreel.pipeline.sources.keypoints.landmarks import Box, with_forehead
from flowreel.schemas.extras import pip_install

Stroke = tuple[int, ...]  # points that are joined

# Part label and strokes in drawing order; points 68..82 are the mirrored jaw.
PARTS: list[tuple[int, list[Stroke]]] = [
    (1, [(*range(17), *range(68, 83), 0)]),  # outline
    (2, [tuple(range(17, 22))]),  # right eyebrow
    (2, [tuple(range(22, 27))]),
    (3, [(28, 31), tuple(range(31, 36)), (35, 28)]),  # nose
    (4, [(36, 37, 38, 39), (39, 40, 41, 36)]),  # right eye
    (4, [(42, 43, 44, 45), (45, 46, 47, 42)]),
    (5, [tuple(range(48, 55)), (*range(54, 60), 48)]),  # mouth
    (6, [tuple(range(60, 65)), (64, 65, 66, 67, 60)]),  # inner mouth
]
STROKES: list[Stroke] = [stroke for _, strokes in PARTS for stroke in strokes]
PART_LABELS = 7  # with 0, the background
_CURVE_POINTS = 3  # points of a stroke that one curve goes through
_DISTANCE_UNIT = 3.0  # pixels per level of a distance map


@dataclass(frozen=True)
class FaceOptions:
    """The options that a face generator was trained with."""

    distances: bool = True
    background_edges: bool = True  # Canny edges of the real picture around the face; needs scikit-image

    @property
    def channels(self) -> int:
        """Counts the channels of a frame."""
        return 1 + len(STROKES) * self.distances


def draw_parts(landmark_68: Points, size: tuple[int, int]) -> Canvas:
    """Draws part labels 0..6 at the picture's own ``size`` (width, height), (H, W)."""
    point_N2 = with_forehead(landmark_68).astype(np.int32)
    label_HW = np.zeros((size[1], size[0]), np.uint8)
    for label, strokes in PARTS:
        outline_N2 = point_N2[[i for stroke in strokes for i in stroke]]
        cv2.fillPoly(label_HW, [outline_N2], color=label)
    return label_HW


def draw_edges(landmark_68: Points, size: tuple[int, int]) -> Canvas:
    """Draws all strokes, white on black, (H, W)."""
    return _drawn(with_forehead(landmark_68), STROKES, size)


def draw_distances(landmark_68: Points, size: tuple[int, int]) -> Canvas:
    """Draws each stroke's city-block distance, in units of 3 pixels, at most 255: (14, H, W)."""
    point_N2 = with_forehead(landmark_68)
    maps = []
    for stroke in STROKES:
        away_HW = cv2.distanceTransform(255 - _drawn(point_N2, [stroke], size), cv2.DIST_L1, 3)
        maps.append(np.clip(away_HW / _DISTANCE_UNIT, 0, 255).astype(np.uint8))
    return np.stack(maps)


def background_edges(image_HW3: NDArray[np.uint8], part_HW: Canvas) -> Canvas:
    """Finds Canny edges of the real picture outside the face, 255 on 0, (H, W). They depend on scikit-image's
    version."""
    try:
        from skimage.feature import canny  # an extra: only this picture needs it
    except ImportError:
        raise ValueError(
            f"edges around the face need scikit-image: {pip_install('face')}; or draw without them"
        ) from None
    grey_HW = np.asarray(Image.fromarray(image_HW3).convert("L"))
    edge_HW: Canvas = (canny(grey_HW) & (part_HW == 0)).astype(np.uint8) * np.uint8(255)
    return edge_HW


def encode_face(
    landmark_68: Points, image_HW3: NDArray[np.uint8], crop: Box, size: tuple[int, int], options: FaceOptions
) -> NDArray[np.float32]:
    """Encodes one frame's channels, (L, H, W) in [0, 1], of the crop at ``size`` (width, height).

    ``image_HW3``: the real picture; without background edges only its size matters.
    """
    own_size = (image_HW3.shape[1], image_HW3.shape[0])
    edge_HW = draw_edges(landmark_68, own_size)
    if options.background_edges:
        edge_HW += background_edges(image_HW3, draw_parts(landmark_68, own_size))  # 255 + 255 is 254
    maps = [edge_HW, *(draw_distances(landmark_68, own_size) if options.distances else [])]
    resized = [_cropped(one, crop, size, Image.Resampling.BILINEAR) for one in maps]
    return np.stack(resized).astype(np.float32) / np.float32(255)


def encode_parts(landmark_68: Points, own_size: tuple[int, int], crop: Box, size: tuple[int, int]) -> Canvas:
    """Draws part labels of the crop at ``size`` (width, height), (H, W)."""
    return _cropped(draw_parts(landmark_68, own_size), crop, size, Image.Resampling.NEAREST)


def _drawn(point_N2: Points, strokes: Sequence[Stroke], size: tuple[int, int]) -> Canvas:
    canvas_HW = np.zeros((size[1], size[0]), np.uint8)
    for stroke in strokes:
        for start in range(0, len(stroke) - 1, _CURVE_POINTS - 1):
            paint_white(canvas_HW, curve(point_N2[list(stroke[start : start + _CURVE_POINTS])]))
    return canvas_HW


def _cropped(picture_HW: Canvas, crop: Box, size: tuple[int, int], filter: Image.Resampling) -> Canvas:
    x0, y0, x1, y1 = crop
    return np.asarray(Image.fromarray(picture_HW[y0:y1, x0:x1]).resize(size, filter))
