"""Chooses the crops of a clip's frames."""

from collections.abc import Sequence

import numpy as np

from flowreel.pipeline.sources.keypoints.crop import (
    Crop,
    Size,
    box_crop,
    central_crop,
    central_size,
    following_crops,
    whole_crop,
)
from flowreel.pipeline.sources.keypoints.frames import PointFrame
from flowreel.pipeline.sources.keypoints.landmarks import face_crop
from flowreel.pipeline.sources.keypoints.tracking import Box4, main_boxes
from flowreel.schemas.source import SourceSpec

STEADY_S = 0.25  # seconds over which the path of a crop that follows a body is smoothed


def crops_of(source: SourceSpec, frames: Sequence[PointFrame], size: Size) -> list[Crop]:
    """Gives one crop per frame, all of ``size`` (width, height). Raises ValueError where that is impossible.

    A face's crop is that of the first frame, as in vid2vid's training; one that follows a body moves with it.
    """
    own = frames[0].own
    if source.face:
        assert frames[0].landmark_68 is not None
        return [box_crop(face_crop(frames[0].landmark_68, own), size)] * len(frames)
    assert source.pose is not None
    if source.pose.crop == "none":
        return [whole_crop(own, size)] * len(frames)
    if source.pose.crop == "center":
        return [middle(own, size)] * len(frames)
    if source.pose.openpose:
        boxes = main_boxes([frame.people or [] for frame in frames])
    else:
        boxes = [_parts_box(frame) for frame in frames]
    return following_crops(boxes, own, size, STEADY_S * source.fps)


def middle(own: Size, size: Size) -> Crop:
    """Gives the columns that vid2vid keeps. Raises ValueError, naming the size that they have, if it differs from
    ``size``."""
    kept = central_crop(own, central_size(own, size[1]))
    if kept.size != size:
        raise ValueError(
            f"pictures of {own[0]}x{own[1]} have a middle of {kept.size[0]}x{kept.size[1]} at this height, not"
            f" {size[0]}x{size[1]}; set the size to [{kept.size[0]}, {kept.size[1]}], or pose.crop to body"
        )
    return kept


def _parts_box(frame: PointFrame) -> Box4:
    """Gives the box around all body parts of a DensePose map, (4,); NaN if there are none."""
    assert frame.densepose_HW3 is not None
    rows, columns = np.nonzero(frame.densepose_HW3[..., 2])
    if not len(rows):
        return np.full(4, np.nan)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float64)
