"""Whether frames agree with their predecessors: warp error and flicker, from one optical flow."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.optical_flow import brisk_flow, sampled

CELL = 16  # pixels: light changes over larger areas than textures do


@dataclass(frozen=True)
class Motion:
    """Measures per frame, 0 (same) to 1; None for the first frame, and flicker also where nothing of the one before
    is in sight."""

    warp_error: list[float | None]
    flicker: list[float | None]


def motion(image_THW3: NDArray[np.uint8], along_THW3: NDArray[np.uint8] | None = None) -> Motion:
    """Measures how far each frame is from its predecessor moved along the optical flow.

    Warp error: mean absolute difference over channels where forward and backward flow agree, as in Lai et al., ECCV
    2018, eq. 7; of all pixels where they agree nowhere, so that noise is not taken for a frame without error. Flicker:
    the same of means over cells of 16x16 pixels, in which edges that are a little off and grain cancel out, and changes
    of light do not. ``along_THW3``: the frames whose flow counts, by default the images.
    """
    along_THW3 = image_THW3 if along_THW3 is None else along_THW3
    found = Motion([None], [None])
    for t in range(1, len(image_THW3)):
        back, seen = brisk_flow(along_THW3[t], along_THW3[t - 1])
        moved = sampled(image_THW3[t - 1], back)
        mask = seen.astype(np.uint8)
        error = cv2.mean(cv2.absdiff(moved, image_THW3[t]), mask if mask.any() else None)
        found.warp_error.append(sum(error[:3]) / 3 / 255)
        brighter = cv2.subtract(_grey(moved), _grey(image_THW3[t]), dtype=cv2.CV_32F)
        found.flicker.append(_mean_of_cells(brighter, seen.astype(np.float32)))
    return found


def warp_errors(image_THW3: NDArray[np.uint8], along_THW3: NDArray[np.uint8] | None = None) -> list[float | None]:
    """Gives only the warp errors of `motion`."""
    return motion(image_THW3, along_THW3).warp_error


def _grey(image_HW3: NDArray[np.uint8]) -> cv2.typing.MatLike:
    return cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)


def _mean_of_cells(change_HW: cv2.typing.MatLike, seen_HW: NDArray[np.float32]) -> float | None:
    """Gives the mean absolute mean change, 0 to 1, of cells that are mostly in sight."""
    height, width = seen_HW.shape
    size = (max(1, width // CELL), max(1, height // CELL))
    share = np.asarray(cv2.resize(seen_HW, size, interpolation=cv2.INTER_AREA))
    total = np.asarray(cv2.resize(cv2.multiply(change_HW, seen_HW), size, interpolation=cv2.INTER_AREA))
    most = share > 0.5
    return float(np.abs(total[most] / share[most]).mean()) / 255 if most.any() else None
