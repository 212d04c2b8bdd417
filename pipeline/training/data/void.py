"""Fills regions without a look of their own, such as a car's bonnet, for users' label maps have none."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.training.data.frame_data import FrameData


def void_pixels(label: NDArray[np.integer], void: frozenset[int]) -> NDArray[np.bool_]:
    """Tells where labels of any shape are of ``void`` classes."""
    return np.isin(label, list(void))


def filled(frame: FrameData, void: frozenset[int]) -> FrameData:
    """Gives each void pixel the class and the instance of the nearest pixel that is not void; the image stays.

    A frame that is all void stays as it is.
    """
    void_HW = void_pixels(frame.label_HW, void)
    if not void_HW.any() or void_HW.all():
        return frame
    # OpenCV numbers the pixels that are 0, and says at each other one which of them is nearest.
    _, number_HW = cv2.distanceTransformWithLabels(
        void_HW.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(number_HW.max() + 1, np.intp)
    place[number_HW[~void_HW]] = np.flatnonzero(~void_HW)
    nearest_HW = place[number_HW]
    return replace(
        frame, label_HW=frame.label_HW.ravel()[nearest_HW], instance_HW=frame.instance_HW.ravel()[nearest_HW]
    )
