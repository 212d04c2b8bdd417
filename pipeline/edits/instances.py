"""Instance ids: which of them say "no instance", and how many objects a frame shows."""

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.edits.maps import Ids, Mask
from flowreel.schemas.label_space import LabelSpace

NO_INSTANCE = {np.dtype(np.uint8): (0, 255), np.dtype(np.uint16): (0,)}  # ids that mean "no instance"


def count_instances(label_HW: NDArray[np.integer], instance_HW: NDArray[np.integer] | None, space: LabelSpace) -> int:
    """Counts distinct instances of thing classes that are in sight; 0 where there is no instance map."""
    if instance_HW is None:
        return 0
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
