"""An edit that brings objects of another sequence into the clip."""

import numpy as np

from flowreel.pipeline.edits.maps import Maps
from flowreel.pipeline.edits.track import Track, extract_class, follow, free_id, moved, paste, scaled
from flowreel.schemas.edit import Insert
from flowreel.schemas.label_space import LabelSpace


def insert(maps: Maps, edit: Insert, donor: Maps, space: LabelSpace) -> Maps:
    """Inserts objects. They keep the rows where they stand, apart from ``edit.by``.

    ``donor``: the other sequence's maps from its frame ``edit.first`` on, at the same size; where it is shorter than
    the clip, the objects are gone at its end.
    """
    if isinstance(edit.insert, str):
        tracks = extract_class(donor, space.resolve(edit.insert))
    else:
        tracks = [follow(donor, edit.insert, space)]
    for track in tracks:
        placed = _fitted(moved(scaled(track, edit.scale), edit.by), len(maps.label_THW))
        if maps.instance_THW is None or not placed.mask_THW.any():
            continue
        label = int(np.bincount(placed.label_THW[placed.mask_THW]).argmax())
        maps = paste(maps, placed, free_id(maps.instance_THW, label), space)
    return maps


def _fitted(track: Track, frames: int) -> Track:
    """Cuts or pads a track to the length of a clip."""
    missing = max(0, frames - len(track.mask_THW))
    pad = ((0, missing), (0, 0), (0, 0))
    return Track(np.pad(track.mask_THW[:frames], pad), np.pad(track.label_THW[:frames], pad))
