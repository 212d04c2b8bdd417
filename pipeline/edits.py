"""Edits of label maps before rendering. The edited map conditions the generator and is what is published."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from schemas.edit import Edit
from schemas.label_space import LabelSpace

Ids = NDArray[np.integer]


def apply_edits(
    label_THW: Ids, instance_THW: Ids | None, edits: Iterable[Edit], space: LabelSpace
) -> tuple[Ids, Ids | None]:
    """Edited copies of a clip's maps; the inputs stay as they are. Raises ValueError for an unknown class."""
    for edit in edits:
        old, new = space.resolve(edit.replace), space.resolve(edit.with_)
        gone = label_THW == old
        label_THW = np.where(gone, np.asarray(new, label_THW.dtype), label_THW)
        if instance_THW is not None and new not in space.things:
            instance_THW = np.where(gone, np.asarray(0, instance_THW.dtype), instance_THW)  # stuff has no instances
    return label_THW, instance_THW


def thing_regions(label_THW: Ids, space: LabelSpace) -> Ids:
    """A stand-in where a source has no instance maps: each class of things is one region, all stuff is another.

    It gives the generator's edge channel the outlines of things, which is most of what real instance maps give it.
    """
    return np.where(np.isin(label_THW, list(space.things)), label_THW, np.asarray(0, label_THW.dtype))


def remap_table(remap: dict[int, int | str], space: LabelSpace) -> NDArray[np.uint16]:
    """Source id -> published id for all 65,536 ids; ids that ``remap`` does not name stay as they are."""
    table = np.arange(65536, dtype=np.uint16)
    for source_id, target in remap.items():
        if not 0 <= source_id <= 65535:
            raise ValueError(f"source id {source_id} outside 0..65535")
        table[source_id] = space.resolve(target)
    return table
