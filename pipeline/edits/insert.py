"""An object of another sequence comes into the clip."""

import numpy as np

from pipeline.edits.maps import Maps
from pipeline.edits.track import Track, cut, free_id, moved, paste, scaled
from schemas.edit import Insert
from schemas.label_space import LabelSpace


def insert(maps: Maps, edit: Insert, donor: Maps, space: LabelSpace) -> Maps:
    """``donor``: the other sequence's maps from its frame ``edit.first`` on, at the same size; where it is shorter than
    the clip, the object is gone at its end. It keeps the row where it stands, but for ``edit.by``."""
    frames = len(maps.label_THW)
    track = _fitted(placed(donor, edit, space), frames)
    if maps.instance_THW is None or not track.mask_THW.any():
        return maps
    classes = np.bincount(track.label_THW[track.mask_THW])
    return paste(maps, track, free_id(maps.instance_THW, int(classes.argmax())), space)


def placed(donor: Maps, edit: Insert, space: LabelSpace) -> Track:
    """The object where it shall be, with nothing in front of it."""
    return moved(scaled(cut(donor, edit.insert, space), edit.scale), edit.by)


def _fitted(track: Track, frames: int) -> Track:
    """As long as a clip."""
    missing = max(0, frames - len(track.mask_THW))
    pad = ((0, missing), (0, 0), (0, 0))
    return Track(np.pad(track.mask_THW[:frames], pad), np.pad(track.label_THW[:frames], pad))
