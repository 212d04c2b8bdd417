"""Edits that remove objects and classes."""

import numpy as np

from flowreel.pipeline.edits.inpaint import fill
from flowreel.pipeline.edits.instances import without_instance
from flowreel.pipeline.edits.maps import Ids, Maps, Mask, filled, members
from flowreel.schemas.edit import Keep, Remove
from flowreel.schemas.label_space import LabelSpace


def remove(maps: Maps, edit: Remove, space: LabelSpace) -> Maps:
    """Removes a class, or some instances with all their pixels of things, so that flickering between classes leaves
    nothing."""
    gone_THW = maps.label_THW == space.resolve(edit.remove)
    if edit.instances is not None:
        if maps.instance_THW is None:
            raise ValueError(f"'{edit}' needs instance maps")
        gone_THW |= members(maps.label_THW, space.things)
        gone_THW &= np.isin(maps.instance_THW, edit.instances)
    return without(maps, gone_THW, space)


def keep(maps: Maps, edit: Keep, space: LabelSpace) -> Maps:
    """Removes all other things; or, with a class to put there, all other classes."""
    kept = frozenset(space.resolve(key) for key in edit.keep)
    if edit.with_ is None:
        return without(maps, members(maps.label_THW, space.things - kept), space)
    gone_THW = ~members(maps.label_THW, kept)
    label_THW = filled(maps.label_THW, gone_THW, space.resolve(edit.with_))
    return Maps(label_THW, without_instance(maps.instance_THW, gone_THW))


def without(maps: Maps, gone_THW: Mask, space: LabelSpace) -> Maps:
    """Removes pixels from both maps and fills their place. If most of an instance goes, all of it does: masks reach
    beyond labels."""
    label_THW, instance_THW = maps
    if instance_THW is not None:
        rest_THW = _mostly(instance_THW, gone_THW, members(label_THW, space.things)) & ~gone_THW
        instance_THW = without_instance(instance_THW, rest_THW & ~members(label_THW, space.things))
    return fill(Maps(label_THW, instance_THW), gone_THW, space)


def _mostly(instance_THW: Ids, gone_THW: Mask, thing_THW: Mask) -> Mask:
    """Tells where instances are that lose most of their pixels of things."""
    count_K = np.bincount(instance_THW[thing_THW].ravel())
    gone_K = np.bincount(instance_THW[gone_THW & thing_THW].ravel(), minlength=len(count_K))
    return np.isin(instance_THW, np.flatnonzero(gone_K * 2 > count_K))
