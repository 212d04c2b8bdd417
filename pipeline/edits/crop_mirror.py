"""Edits of the camera: mirrored, or closer."""

import numpy as np

from flowreel.pipeline.edits.maps import Ids, Maps
from flowreel.schemas.edit import Crop


def mirror(maps: Maps) -> Maps:
    """Swaps left and right."""
    label_THW, instance_THW = (None if ids is None else np.ascontiguousarray(ids[:, :, ::-1]) for ids in maps)
    assert label_THW is not None
    return Maps(label_THW, instance_THW)


def crop(maps: Maps, edit: Crop) -> Maps:
    """Enlarges a part of the frame to the size of the whole: each pixel shows the one that its middle falls into."""
    left, top, wide, high = edit.crop
    height, width = maps.label_THW.shape[1:]
    row_H = _places(top, high, height)
    column_W = _places(left, wide, width)

    def part(ids_THW: Ids) -> Ids:
        return ids_THW[:, row_H[:, None], column_W]

    return Maps(part(maps.label_THW), None if maps.instance_THW is None else part(maps.instance_THW))


def _places(start: float, share: float, pixels: int) -> Ids:
    """Gives the source pixel of each pixel along one axis."""
    middle = (np.arange(pixels) + 0.5) / pixels
    return np.floor((start + middle * share) * pixels).astype(np.int64).clip(0, pixels - 1)
