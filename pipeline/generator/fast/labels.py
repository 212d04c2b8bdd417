"""Label maps as sparse pictures: of a frame's one-hot channels a pixel has one that is not 0, and few where pooled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from pipeline.generator.fast.activations import Floats
from pipeline.generator.fast.kernels import helper, kernel, reflect

Ints = NDArray[np.int32]
REACH = 3  # of a 7x7 convolution


@dataclass(frozen=True)
class SparsePicture:
    """A picture of which only the channels that are not 0 are stored, pixel after pixel."""

    begin_P: Ints  # H*W+1 positions: where the entries of each pixel begin in the two arrays below
    channel_N: Ints
    value_N: Floats
    pure_HW: Ints  # the one channel that a pixel has, with value 1; else -1
    line_HW: Ints  # the one channel that this pixel and REACH more to both sides have so; else -1
    area_HW: Ints  # the same for REACH more in all directions: most of a label map

    def dense(self, channels: int) -> Floats:
        """The picture with all its channels, (channels, H, W)."""
        pixel_N = np.repeat(np.arange(self.line_HW.size), np.diff(self.begin_P))
        picture = np.zeros((channels, self.line_HW.size), self.value_N.dtype)
        picture[self.channel_N, pixel_N] = self.value_N
        return picture.reshape(channels, *self.line_HW.shape)

    def total(self, channels: tuple[int, ...]) -> Floats:
        """The sum of some channels, (H, W), limited to [0, 1]: the foreground mask."""
        values_N = np.where(np.isin(self.channel_N, channels), self.value_N, 0)
        sums = np.add.reduceat(values_N, self.begin_P[:-1])  # a pixel has at least its label
        return np.clip(sums, 0, 1).astype(self.value_N.dtype).reshape(self.line_HW.shape)


@dataclass(frozen=True)
class SparseWindow:
    """T sparse pictures, their arrays joined: loops over tuples of arrays are slow. Names as in SparsePicture."""

    begin_TP: Ints
    channel_N: Ints
    value_N: Floats
    pure_THW: Ints
    line_THW: Ints
    area_THW: Ints


def joined(frames: Sequence[SparsePicture]) -> SparseWindow:
    """Frames of one size, oldest first."""
    offset_T = np.cumsum([0, *(len(frame.channel_N) for frame in frames[:-1])], dtype=np.int32)
    return SparseWindow(
        np.stack([frame.begin_P + offset for frame, offset in zip(frames, offset_T, strict=True)]),
        np.concatenate([frame.channel_N for frame in frames]),
        np.concatenate([frame.value_N for frame in frames]),
        np.stack([frame.pure_HW for frame in frames]),
        np.stack([frame.line_HW for frame in frames]),
        np.stack([frame.area_HW for frame in frames]),
    )


def from_labels(
    label_HW: NDArray[np.integer], edge_HW: NDArray[np.bool_] | None, edge: int, kind: type
) -> SparsePicture:
    """One-hot labels, and 1 in channel ``edge`` at the edges of instances."""
    count_P = np.ones(label_HW.size, np.int32) if edge_HW is None else 1 + edge_HW.ravel().astype(np.int32)
    begin_P = np.concatenate(([0], np.cumsum(count_P)), dtype=np.int32)
    channel_N = np.full(begin_P[-1], edge, np.int32)
    channel_N[begin_P[:-1]] = label_HW.ravel()
    return _finished(begin_P, channel_N, np.ones(len(channel_N), kind), label_HW.shape)


def pooled(fine: SparsePicture, channels: int) -> SparsePicture:
    """Half the size by a 3x3 mean over the valid pixels, as ``conditioning.pool`` does."""
    height, width = fine.line_HW.shape
    half = (height // 2, width // 2)
    count_P = np.zeros(half[0] * half[1] + 1, np.int32)
    stored = (fine.begin_P, fine.channel_N, fine.value_N)
    _count_pooled(stored, (height, width), channels, count_P[1:])
    begin_P = np.cumsum(count_P, dtype=np.int32)
    channel_N, value_N = np.empty(begin_P[-1], np.int32), np.empty(begin_P[-1], fine.value_N.dtype)
    _fill_pooled(stored, (height, width), channels, begin_P, channel_N, value_N)
    return _finished(begin_P, channel_N, value_N, half)


def _finished(begin_P: Ints, channel_N: Ints, value_N: Floats, size: tuple[int, int]) -> SparsePicture:
    pure_HW, line_HW, area_HW = (np.empty(size, np.int32) for _ in range(3))
    _find_lines(begin_P, channel_N, value_N, pure_HW, line_HW)
    _find_areas(line_HW, area_HW)
    return SparsePicture(begin_P, channel_N, value_N, pure_HW, line_HW, area_HW)


Stored = tuple[Ints, Ints, Floats]  # begin_P, channel_N, value_N


@helper
def _pool_pixel(
    stored: Stored, size: tuple[int, int], at: tuple[int, int], sums_L: Floats, seen_L: Ints
) -> tuple[int, int]:
    """Sums around a pixel of the coarse picture; (channels seen, pixels summed)."""
    begin_P, channel_N, value_N = stored
    height, width = size
    seen, pixels = 0, 0
    for y in range(max(0, 2 * at[0] - 1), min(height, 2 * at[0] + 2)):
        for x in range(max(0, 2 * at[1] - 1), min(width, 2 * at[1] + 2)):
            pixels += 1
            for n in range(begin_P[y * width + x], begin_P[y * width + x + 1]):
                channel = channel_N[n]
                if sums_L[channel] == 0:
                    seen_L[seen] = channel
                    seen += 1
                sums_L[channel] += value_N[n]
    return seen, pixels


@kernel
def _count_pooled(stored: Stored, size: tuple[int, int], channels: int, count_P: Ints) -> None:
    width = size[1] // 2
    for y in prange(size[0] // 2):
        sums_L, seen_L = np.zeros(channels, stored[2].dtype), np.empty(channels, np.int32)
        for x in range(width):
            seen, _ = _pool_pixel(stored, size, (y, x), sums_L, seen_L)
            count_P[y * width + x] = seen
            for s in range(seen):
                sums_L[seen_L[s]] = 0


@kernel
def _fill_pooled(
    stored: Stored, size: tuple[int, int], channels: int, begin_P: Ints, channel_N: Ints, value_N: Floats
) -> None:
    width = size[1] // 2
    for y in prange(size[0] // 2):
        sums_L, seen_L = np.zeros(channels, value_N.dtype), np.empty(channels, np.int32)
        for x in range(width):
            seen, pixels = _pool_pixel(stored, size, (y, x), sums_L, seen_L)
            first = begin_P[y * width + x]
            for s in range(seen):
                channel_N[first + s] = seen_L[s]
                value_N[first + s] = sums_L[seen_L[s]] / pixels
                sums_L[seen_L[s]] = 0


@kernel
def _find_lines(begin_P: Ints, channel_N: Ints, value_N: Floats, pure_HW: Ints, line_HW: Ints) -> None:
    height, width = line_HW.shape
    for y in prange(height):
        for x in range(width):
            n = begin_P[y * width + x]
            alone = begin_P[y * width + x + 1] == n + 1 and value_N[n] == 1
            pure_HW[y, x] = channel_N[n] if alone else -1
        for x in range(width):
            common = pure_HW[y, x]
            for dx in range(-REACH, REACH + 1):
                if pure_HW[y, reflect(x + dx, width)] != common:
                    common = -1
            line_HW[y, x] = common


@kernel
def _find_areas(line_HW: Ints, area_HW: Ints) -> None:
    height, width = line_HW.shape
    for y in prange(height):
        for x in range(width):
            common = line_HW[y, x]
            for dy in range(-REACH, REACH + 1):
                if line_HW[reflect(y + dy, height), x] != common:
                    common = -1
            area_HW[y, x] = common
