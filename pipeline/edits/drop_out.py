"""An edit that leaves out a part of the frame, as a sensor may."""

import numpy as np

from flowreel.pipeline.edits.instances import without_instance
from flowreel.pipeline.edits.maps import Maps, filled, ignored
from flowreel.schemas.edit import DropOut
from flowreel.schemas.label_space import LabelSpace


def drop_out(maps: Maps, edit: DropOut, space: LabelSpace) -> Maps:
    """Sets a region to the ignored class, in all frames or some."""
    left, top, wide, high = edit.drop_out
    frames, height, width = maps.label_THW.shape
    first, stop = edit.frames or (0, frames)
    missing_THW = np.zeros(maps.label_THW.shape, np.bool_)
    rows = slice(round(top * height), round((top + high) * height))
    missing_THW[first:stop, rows, round(left * width) : round((left + wide) * width)] = True
    label_THW = filled(maps.label_THW, missing_THW, missing_class(edit, space))
    return Maps(label_THW, without_instance(maps.instance_THW, missing_THW))


def missing_class(edit: DropOut, space: LabelSpace) -> int:
    """Gives the class of missing pixels. Raises ValueError if the edit names none and the label space ignores none."""
    if edit.with_ is not None:
        return space.resolve(edit.with_)
    if not ignored(space):
        raise ValueError(f"label space '{space.name}' has no ignored class; name one: drop_out: [...], with: CLASS")
    return ignored(space)[0]
