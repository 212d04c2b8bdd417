"""Instance ids: which of them say "no instance", and how many objects a frame shows.

What is published says it by 0 alone. Sources may say it by 255 in maps of 8 bits, and Cityscapes' 16-bit maps say by
the id of the class that a region shows several objects: a group.
"""

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.edits.maps import Ids, Mask
from flowreel.schemas.label_space import LabelSpace

NO_INSTANCE = {np.dtype(np.uint8): (0, 255), np.dtype(np.uint16): (0,)}  # ids that mean "no instance"


NONE = 0  # what published maps hold where there is no instance


def groups(label_HW: Ids, instance_HW: Ids, thing_HW: Mask) -> Mask:
    """Tells where Cityscapes' maps mark groups: pixels of things whose instance id is that of their class.

    ``label_HW``: ids as the source has them; ``thing_HW``: where things are. In other maps such an id is an object
    that happens to have this number: they do not hold the ids of classes elsewhere.
    """
    same_HW = instance_HW == label_HW
    found_HW = same_HW & thing_HW
    if instance_HW.dtype != np.uint16 or not found_HW.any():
        return np.zeros(label_HW.shape, np.bool_)
    stuff = int((~thing_HW).sum())
    if stuff:
        follows = 2 * int((same_HW & ~thing_HW).sum()) > stuff
    else:
        follows = bool((found_HW | (instance_HW // 1000 == label_HW)).all())
    return found_HW if follows else np.zeros(label_HW.shape, np.bool_)


def with_one_none(label_HW: Ids, instance_HW: Ids, thing_HW: Mask) -> Ids:
    """Gives an instance map in which 0 alone says that there is no instance; arguments as in `groups`."""
    none_HW = instance_HW == 255 if instance_HW.dtype == np.uint8 else groups(label_HW, instance_HW, thing_HW)
    return np.where(none_HW, np.asarray(NONE, instance_HW.dtype), instance_HW) if none_HW.any() else instance_HW


def in_sight(label_HW: Ids, instance_HW: Ids, space: LabelSpace) -> Mask:
    """Tells where a published map shows an instance of a thing: not on stuff, and no group, which releases before
    0.1 published."""
    thing_HW = np.isin(label_HW, list(space.things))
    none_HW = np.isin(instance_HW, NO_INSTANCE[instance_HW.dtype]) | groups(label_HW, instance_HW, thing_HW)
    return thing_HW & ~none_HW


def count_instances(label_HW: NDArray[np.integer], instance_HW: NDArray[np.integer] | None, space: LabelSpace) -> int:
    """Counts distinct instances of thing classes that are in sight; 0 where there is no instance map."""
    if instance_HW is None:
        return 0
    return len(np.unique(instance_HW[in_sight(label_HW, instance_HW, space)]))


def count_with_groups(label_HW: NDArray[np.integer], instance_HW: NDArray[np.integer], space: LabelSpace) -> int:
    """Counts as `count_instances` does, with groups as instances: what manifests of releases before 0.1 say."""
    ids = np.unique(instance_HW[np.isin(label_HW, list(space.things))])
    return int(np.isin(ids, NO_INSTANCE[instance_HW.dtype], invert=True).sum())


def no_instance(instance_THW: Ids) -> int:
    """Gives the id that says "no instance" in these maps: 255 where maps of 8 bits use it, else 0."""
    return 255 if instance_THW.dtype == np.uint8 and bool((instance_THW == 255).any()) else 0


def without_instance(instance_THW: Ids | None, where_THW: Mask) -> Ids | None:
    """Clears every instance at some pixels."""
    if instance_THW is None:
        return None
    return np.where(where_THW, np.asarray(no_instance(instance_THW), instance_THW.dtype), instance_THW)
