"""What edits work on: the label and instance maps of a clip."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowreel.schemas.label_space import LabelSpace

Ids = NDArray[np.integer]
Mask = NDArray[np.bool_]


class Maps(NamedTuple):
    """Of T frames; no instance maps where a source has none."""

    label_THW: Ids
    instance_THW: Ids | None


def members(ids: Ids, classes: frozenset[int]) -> Mask:
    """Where a map holds one of these classes."""
    return np.isin(ids, sorted(classes))


def ignored(space: LabelSpace) -> list[int]:
    """Ids of ignored classes, in the order of the label space."""
    return [c.id for c in space.classes if c.ignore]


def background(space: LabelSpace) -> frozenset[int]:
    """Classes that may show where an object was: stuff that is not ignored."""
    return frozenset(c.id for c in space.classes if c.kind == "stuff" and not c.ignore)


def no_instance(instance_THW: Ids) -> int:
    """The id that says "no instance" in these maps: 255 where maps of 8 bits use it, else 0."""
    return 255 if instance_THW.dtype == np.uint8 and bool((instance_THW == 255).any()) else 0


def without_instance(instance_THW: Ids | None, where_THW: Mask) -> Ids | None:
    """Maps without any instance at some pixels."""
    if instance_THW is None:
        return None
    return np.where(where_THW, np.asarray(no_instance(instance_THW), instance_THW.dtype), instance_THW)


def filled(ids_THW: Ids, where_THW: Mask, value: int) -> Ids:
    """One id at some pixels."""
    return np.where(where_THW, np.asarray(value, ids_THW.dtype), ids_THW)
