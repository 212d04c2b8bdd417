"""An edit that turns a class into another one."""

import numpy as np

from flowreel.pipeline.edits.maps import Maps
from flowreel.schemas.edit import Replace
from flowreel.schemas.label_space import LabelSpace


def replace(maps: Maps, edit: Replace, space: LabelSpace) -> Maps:
    """Replaces a class. Things that become things keep their instance ids; what becomes stuff has none."""
    label_THW, instance_THW = maps
    old, new = space.resolve(edit.replace), space.resolve(edit.with_)
    gone = label_THW == old
    label_THW = np.where(gone, np.asarray(new, label_THW.dtype), label_THW)
    if instance_THW is not None and new not in space.things:
        instance_THW = np.where(gone, np.asarray(0, instance_THW.dtype), instance_THW)  # stuff has no instances
    return Maps(label_THW, instance_THW)
