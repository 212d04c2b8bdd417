"""Whether images follow their labels, measured without any weights: edges, and frames that stand still."""

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
LEVELS = 4  # by which noise of a camera or a codec changes a pixel
MIN_SHARE = 0.001  # share of a frame's pixels below which nothing is measured


def label_edges(image_HW3: Rgb, label_HW: NDArray[np.integer]) -> float | None:
    """Measures how much steeper the image is where labels meet than on the whole; None where they meet (almost)
    nowhere.

    1: image and labels have nothing to do with each other, as after a shift.
    """
    grey = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_16S, dx, 1 - dx) for dx in (1, 0))
    slope = np.abs(across) + np.abs(down)  # at most 2040
    meet = np.zeros(label_HW.shape, np.bool_)
    for here, there, a, b in (
        (label_HW[:, :-1], label_HW[:, 1:], meet[:, :-1], meet[:, 1:]),
        (label_HW[:-1], label_HW[1:], meet[:-1], meet[1:]),
    ):
        other = here != there
        a |= other
        b |= other
    mean = float(slope.mean())
    if meet.mean() < MIN_SHARE or mean == 0:
        return None
    return float(slope[meet].mean()) / mean


def frozen(image_THW3: Rgb, label_THW: NDArray[np.integer]) -> list[float | None]:
    """Gives, of the pixels whose label changed since the frame before, the share whose colour did not, 0 to 1.

    1 is a frame that stands still while its labels move. None for the first frame and where labels stand still too.
    """
    found: list[float | None] = [None]
    for t in range(1, len(image_THW3)):
        moved = label_THW[t] != label_THW[t - 1]
        if moved.mean() < MIN_SHARE:
            found.append(None)
            continue
        change = cv2.absdiff(image_THW3[t], image_THW3[t - 1])[moved].max(axis=-1)
        found.append(float((change <= LEVELS).mean()))
    return found
