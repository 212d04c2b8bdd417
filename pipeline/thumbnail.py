"""A clip in a few kilobytes, for lists."""

import cv2
import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import encode_image


def thumbnail(image_THW3: NDArray[np.uint8], width: int = 160) -> bytes:
    """A clip's first, middle and last frame side by side in a small JPEG."""
    height = max(1, round(image_THW3.shape[1] * width / image_THW3.shape[2]))
    moments = (image_THW3[t] for t in (0, len(image_THW3) // 2, -1))
    small = [np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)) for frame in moments]
    return encode_image(np.concatenate(small, axis=1).astype(np.uint8), "jpeg", 75)
