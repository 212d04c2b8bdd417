"""Label maps as sparse pictures: of a frame's one-hot channels a pixel has one that is not 0, and few where pooled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from flowreel.pipeline.generator.fast.activations import Floats
from flowreel.pipeline.generator.fast.kernels import helper, kernel, reflect

Ints = NDArray[np.int32]
REACH = 3  # of a 7x7 convolution
TAPS = 2 * REACH + 1
RUNS = TAPS * (TAPS + 1) // 2  # neighbours in a line of TAPS pixels: where they begin and end


@dataclass(frozen=True)
class SparsePicture:
    """A picture of which only the channels that are not 0 are stored, pixel after pixel."""

    begin_P: Ints  # H*W+1 positions: where the entries of each pixel begin in the two arrays below
    channel_N: Ints
    value_N: Floats
    pure_HW: Ints  # the one channel that a pixel has, with value 1; else -1
    area_HW: Ints  # the one that this pixel and REACH more in all directions have so, most of a label map; else -1
    line_P: Ints  # H*W+1 positions: where the terms of each pixel's line (REACH more to both sides) begin below
    run_M: Ints  # channel * RUNS + run: where in the line the channel is
    factor_M: Floats  # its value there

    def dense(self, channels: int) -> Floats:
        """Gives the picture with all its channels, (channels, H, W)."""
        pixel_N = np.repeat(np.arange(self.area_HW.size), np.diff(self.begin_P))
        picture = np.zeros((channels, self.area_HW.size), self.value_N.dtype)
        picture[self.channel_N, pixel_N] = self.value_N
        return picture.reshape(channels, *self.area_HW.shape)

    def total(self, channels: tuple[int, ...]) -> Floats:
        """Sums some channels, (H, W), limited to [0, 1]: the foreground mask."""
        values_N = np.where(np.isin(self.channel_N, channels), self.value_N, 0)
        sums = np.add.reduceat(values_N, self.begin_P[:-1])  # a pixel has at least its label
        return np.clip(sums, 0, 1).astype(self.value_N.dtype).reshape(self.area_HW.shape)


@dataclass(frozen=True)
class SparseWindow:
    """T sparse pictures, their arrays joined: loops over tuples of arrays are slow. Names as in SparsePicture."""

    area_THW: Ints
    line_TP: Ints
    run_M: Ints
    factor_M: Floats


def joined(frames: Sequence[SparsePicture]) -> SparseWindow:
    """Joins frames of one size, oldest first."""
    offset_T = np.cumsum([0, *(len(frame.run_M) for frame in frames[:-1])], dtype=np.int32)
    return SparseWindow(
        np.stack([frame.area_HW for frame in frames]),
        np.stack([frame.line_P + offset for frame, offset in zip(frames, offset_T, strict=True)]),
        np.concatenate([frame.run_M for frame in frames]),
        np.concatenate([frame.factor_M for frame in frames]),
    )


def from_labels(
    label_HW: NDArray[np.integer], edge_HW: NDArray[np.bool_] | None, edge: int, kind: type
) -> SparsePicture:
    """Encodes one-hot labels, and 1 in channel ``edge`` at the edges of instances."""
    count_P = np.ones(label_HW.size, np.int32) if edge_HW is None else 1 + edge_HW.ravel().astype(np.int32)
    begin_P = np.concatenate(([0], np.cumsum(count_P)), dtype=np.int32)
    channel_N = np.full(begin_P[-1], edge, np.int32)
    channel_N[begin_P[:-1]] = label_HW.ravel()
    return _finished(begin_P, channel_N, np.ones(len(channel_N), kind), label_HW.shape)


def pooled(fine: SparsePicture, channels: int) -> SparsePicture:
    """Halves the size by a 3x3 mean over the valid pixels, as ``conditioning.pool`` does."""
    height, width = fine.area_HW.shape
    half = (height // 2, width // 2)
    count_P = np.zeros(half[0] * half[1] + 1, np.int32)
    stored = (fine.begin_P, fine.channel_N, fine.value_N)
    _count_pooled(stored, (height, width), channels, count_P[1:])
    begin_P = np.cumsum(count_P, dtype=np.int32)
    channel_N, value_N = np.empty(begin_P[-1], np.int32), np.empty(begin_P[-1], fine.value_N.dtype)
    _fill_pooled(stored, (height, width), channels, begin_P, channel_N, value_N)
    return _finished(begin_P, channel_N, value_N, half)


def _finished(begin_P: Ints, channel_N: Ints, value_N: Floats, size: tuple[int, int]) -> SparsePicture:
    pure_HW, area_HW = np.empty(size, np.int32), np.empty(size, np.int32)
    stored, count_P = (begin_P, channel_N, value_N), np.zeros(len(begin_P), np.int32)
    _find_pure(stored, pure_HW)
    _find_areas(pure_HW, area_HW)
    _count_terms(stored, pure_HW, area_HW, count_P[1:])
    line_P = np.cumsum(count_P, dtype=np.int32)
    run_M, factor_M = np.empty(line_P[-1], np.int32), np.empty(line_P[-1], value_N.dtype)
    _fill_terms(stored, pure_HW, area_HW, line_P, (run_M, factor_M))
    return SparsePicture(begin_P, channel_N, value_N, pure_HW, area_HW, line_P, run_M, factor_M)


Stored = tuple[Ints, Ints, Floats]  # begin_P, channel_N, value_N
Lines = tuple[Ints, Floats]  # run_M, factor_M


@helper
def _pool_pixel(
    stored: Stored, size: tuple[int, int], at: tuple[int, int], sums_L: Floats, seen_L: Ints
) -> tuple[int, int]:
    """Sums around a pixel of the coarse picture; gives (channels seen, pixels summed)."""
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
def _find_pure(stored: Stored, pure_HW: Ints) -> None:
    begin_P, channel_N, value_N = stored
    height, width = pure_HW.shape
    for y in prange(height):
        for x in range(width):
            n = begin_P[y * width + x]
            alone = begin_P[y * width + x + 1] == n + 1 and value_N[n] == 1
            pure_HW[y, x] = channel_N[n] if alone else -1


@kernel
def _find_areas(pure_HW: Ints, area_HW: Ints) -> None:
    height, width = pure_HW.shape
    for y in prange(height):
        column_W = pure_HW[y].copy()
        for dy in range(-REACH, REACH + 1):
            for x in range(width):
                if pure_HW[reflect(y + dy, height), x] != column_W[x]:
                    column_W[x] = -1
        for x in range(width):
            common = column_W[x]
            for dx in range(-REACH, REACH + 1):
                if column_W[reflect(x + dx, width)] != common:
                    common = -1
            area_HW[y, x] = common


@helper
def _line_terms(stored: Stored, pure_HW: Ints, at: tuple[int, int], lines: Lines, begin: int) -> int:
    """Writes the terms of the line around a pixel from ``begin`` on, nothing where that is -1; gives their number."""
    begin_P, channel_N, value_N = stored
    run_M, factor_M = lines
    y, x = at
    width, terms, j = pure_HW.shape[1], 0, 0
    while j < TAPS:
        first, column = j, reflect(x + j - REACH, width)
        label, p = pure_HW[y, column], y * width + column
        j += 1
        while label >= 0 and j < TAPS and pure_HW[y, reflect(x + j - REACH, width)] == label:
            j += 1
        run = first * TAPS - first * (first - 1) // 2 + j - first - 1  # runs are counted by where they begin, then end
        for n in range(begin_P[p], begin_P[p + 1]):
            if begin >= 0:
                run_M[begin + terms], factor_M[begin + terms] = channel_N[n] * RUNS + run, value_N[n]
            terms += 1
    return terms


@kernel
def _count_terms(stored: Stored, pure_HW: Ints, area_HW: Ints, count_P: Ints) -> None:
    height, width = pure_HW.shape
    nowhere = (stored[1], stored[2])
    for y in prange(height):
        for x in range(width):
            count_P[y * width + x] = 1 if area_HW[y, x] >= 0 else _line_terms(stored, pure_HW, (y, x), nowhere, -1)


@kernel
def _fill_terms(stored: Stored, pure_HW: Ints, area_HW: Ints, line_P: Ints, lines: Lines) -> None:
    height, width = pure_HW.shape
    for y in prange(height):
        for x in range(width):
            m = line_P[y * width + x]
            if area_HW[y, x] >= 0:  # seldom is anything else
                lines[0][m], lines[1][m] = area_HW[y, x] * RUNS + TAPS - 1, 1
            else:
                _line_terms(stored, pure_HW, (y, x), lines, m)
