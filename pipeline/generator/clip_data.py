"""Inputs and outputs of the rendering of a clip, as arrays, so that planning needs no PyTorch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Conditioning:
    """The inputs of one clip, at the size it is rendered at.

    It starts from its first real frames, or an exemplar, or frames that the generator's single-image generator makes,
    or nothing: the first of these that there is.
    """

    label_THW: NDArray[np.integer]
    instance_THW: NDArray[np.integer] | None  # needed where the generator has an edge channel
    exemplar_HW3: NDArray[np.uint8] | None = None  # RGB, stands for all first frames
    first_THW3: NDArray[np.uint8] | None = None  # RGB, the T-1 real frames before the one that is rendered first
    part_THW: NDArray[np.integer] | None = None  # their part labels: the generator makes frames that look like them
    picture_TLHW: NDArray[np.float32] | None = None  # for generators with label_nc 0: as many frames as label_THW


@dataclass(frozen=True)
class ClipFrames:
    """One rendered clip: as many frames as are published; ``first`` is the label frame of the first one."""

    first: int
    image_THW3: NDArray[np.uint8]  # RGB
    flow_THW2: NDArray[np.float32] | None  # backward flow t -> t-1, pixels (x, y); frame 0 has no frame before it
