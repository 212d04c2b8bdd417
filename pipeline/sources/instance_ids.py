"""How a source's instance maps say that there is no instance, from the index."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.schemas.label_space import LabelSpace

_CLASSES = 1000  # Cityscapes: ids below are those of classes
_BYTE = -255  # stands for the id 255 of a map of 8 bits
EIGHT_BITS, GROUPS = "255 is none", "groups are none"


def special_ids(instance_HW: NDArray[np.integer]) -> tuple[int, ...]:
    """Gives the ids of an instance map that may mean something else than an object: 1 to 999 in 16 bits; -255 if a
    map of 8 bits holds 255."""
    if instance_HW.dtype == np.uint8:
        return (_BYTE,) if bool((instance_HW == 255).any()) else ()
    low = instance_HW[(instance_HW > 0) & (instance_HW < _CLASSES)]
    return tuple(np.flatnonzero(np.bincount(low)).tolist())


def none_rules(
    labels: pa.Table, instances: pa.Table, pairs_N2: NDArray[np.int64], table: NDArray[np.uint16], space: LabelSpace
) -> str:
    """Says what a source writes for "no instance" beside 0, as far as it makes a difference to what is published: ""
    for most.

    ``labels``, ``instances``: facts of its maps; ``pairs_N2``: rows of those of one frame; ``table``: its remap.
    """
    found = set()
    if len(instances) and pc.any(pc.equal(pc.list_flatten(instances["ids"]), _BYTE)).as_py():
        found.add(EIGHT_BITS)
    things = np.flatnonzero(np.isin(table[:_CLASSES], list(space.things)))
    lists = instances["ids"].combine_chunks()
    holder = np.repeat(np.arange(len(lists)), pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    suspicious = np.unique(holder[np.isin(lists.flatten().to_numpy(), things)])
    for label_row, row in pairs_N2[np.isin(pairs_N2[:, 1], suspicious)].tolist():
        shown, held = set(labels["ids"][label_row].as_py()), set(lists[row].as_py())
        stuff = shown - set(things.tolist())
        if shown & held & set(things.tolist()) and 2 * len(stuff & held) >= len(stuff):
            return ", ".join(sorted({*found, GROUPS}))
    return ", ".join(sorted(found))
