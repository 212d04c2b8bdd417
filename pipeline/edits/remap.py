"""Maps a source's ids to published ids, before any edit."""

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.edits.maps import Ids
from flowreel.schemas.label_space import LabelSpace


def thing_regions(label_THW: Ids, space: LabelSpace) -> Ids:
    """Stands in for instance maps where a source has none: each class of things is one region, all stuff is another.

    It gives the generator's edge channel the outlines of things, which is most of what real instance maps give it.
    """
    return np.where(np.isin(label_THW, list(space.things)), label_THW, np.asarray(0, label_THW.dtype))


def remap_table(remap: dict[int, int | str], space: LabelSpace) -> NDArray[np.uint16]:
    """Makes a table source id -> published id for all 65,536 ids; ids that ``remap`` does not name stay as they are.

    Raises ValueError for an unknown class or an id outside 0..65535.
    """
    table = np.arange(65536, dtype=np.uint16)
    for source_id, target in remap.items():
        if not 0 <= source_id <= 65535:
            raise ValueError(f"source id {source_id} outside 0..65535")
        table[source_id] = space.resolve(target)
    return table
