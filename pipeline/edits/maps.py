"""The label and instance maps of a clip, which edits work on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowreel.schemas.label_space import LabelSpace

Ids = NDArray[np.integer]
Mask = NDArray[np.bool_]


class Maps(NamedTuple):
    """Maps of T frames; no instance maps where a source has none."""

    label_THW: Ids
    instance_THW: Ids | None


def members(ids: Ids, classes: frozenset[int]) -> Mask:
    """Tells where a map holds one of these classes."""
    return np.isin(ids, sorted(classes))


def ignored(space: LabelSpace) -> list[int]:
    """Gives the ids of ignored classes, in the order of the label space."""
    return [c.id for c in space.classes if c.ignore]


def background(space: LabelSpace) -> frozenset[int]:
    """Gives the classes that may show where an object was: stuff that is not ignored."""
    return frozenset(c.id for c in space.classes if c.kind == "stuff" and not c.ignore)


def filled(ids_THW: Ids, where_THW: Mask, value: int) -> Ids:
    """Sets some pixels to one id."""
    return np.where(where_THW, np.asarray(value, ids_THW.dtype), ids_THW)
