"""Perceptual hashes: images that look alike have hashes that differ in few bits."""

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE, KEPT = 32, 8
BITS = KEPT * KEPT


def phash(image_HW3: NDArray[np.uint8]) -> int:
    """Hashes a frame to 64 bits: which of the lowest 8x8 frequencies at 32x32 are above their median (Zauner, 2010)."""
    small = cv2.resize(cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(small.astype(np.float32))[:KEPT, :KEPT].ravel()
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes())


def hamming_distance(a_N: NDArray[np.uint64], b_N: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Counts the bits, of 64, in which hashes differ: below 8, hardly anyone sees a difference; 32 is chance."""
    return np.bitwise_count(a_N ^ b_N).astype(np.int64)
