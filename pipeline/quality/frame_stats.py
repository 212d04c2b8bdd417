"""Statistics of single frames, and how far a clip drifts from how it began."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameStats:
    """Statistics of one frame."""

    sharpness: float  # mean absolute Laplacian of grey in 8-bit levels: blur lowers it, noise raises it
    contrast: float  # standard deviation of grey, 0 to 0.5: 0 is a black or blank frame
    saturation: float  # mean distance of the strongest channel from the weakest, 0 (grey) to 1


def frame_stats(image_HW3: Rgb) -> FrameStats:
    """Measures one frame, uint8 (H, W, 3) RGB."""
    grey = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)
    sharpness = float(np.abs(cv2.Laplacian(grey, cv2.CV_16S)).mean())
    red, green, blue = cv2.split(image_HW3)
    strongest, weakest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    chroma = float(cv2.subtract(strongest, weakest).mean()) / 255
    return FrameStats(sharpness, float(grey.std()) / 255, chroma)


def drift(image_THW3: Rgb, second: int) -> list[float]:
    """Measures how far each frame's colours are from those of the clip's first second, 0 to 1.

    Mean over channels of the earth mover's distance between histograms: it responds to colour casts, fading and gain
    alike, and ignores where pixels are. What enters the scene counts as well. ``second``: frames in a second.
    """
    sums_TC256 = np.stack([[_cumulated(frame, c) for c in range(3)] for frame in image_THW3])
    begin_C256 = sums_TC256[:second].mean(axis=0)
    return [float(d) for d in np.abs(sums_TC256 - begin_C256).mean(axis=(1, 2))]


def _cumulated(image_HW3: Rgb, channel: int) -> NDArray[np.float64]:
    """Gives the share of pixels up to each of the 256 levels: summed distances of these are earth mover's distances."""
    count_256 = cv2.calcHist([image_HW3], [channel], None, [256], [0, 256]).ravel()
    return np.cumsum(count_256, dtype=np.float64) / (image_HW3.size // 3)
