"""Feature maps and their normalisation, which is applied where the map is read next instead of in passes of its own."""

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from flowreel.pipeline.generator.fast.kernels import helper, kernel, reflect
from flowreel.pipeline.generator.layers import EPS, ClipNorm

Floats = NDArray[np.floating]
Place = tuple[int, int, int, int]  # a part of a map: first row, first column, and those after the last


@dataclass(frozen=True)
class Map:
    """A feature map of one clip: ``values_HWC``, or relu(values_HWC * scale_C + shift_C) while these are pending."""

    values_HWC: Floats
    pending_2C: Floats | None = None  # scale and shift


class Norm:
    """The affine part of ClipNorm, and its statistics from those of rows."""

    def __init__(self, norm: ClipNorm) -> None:
        self.weight_C: Floats = norm.weight.detach().numpy()
        self.bias_C: Floats = norm.bias.detach().numpy()
        self.dtype = norm.weight.dtype

    def from_rows(self, moments_2RC: Floats, counts_R: NDArray[np.float64]) -> Floats:
        """Computes the normalisation. ``moments_2RC``: mean and sum of squared deviations of each row of
        ``counts_R`` pixels."""
        pending_2C: Floats = _affine(moments_2RC, counts_R, self.weight_C, self.bias_C, EPS)
        return pending_2C

    def of(self, values_HWC: Floats) -> Map:
        """Gives a map with this normalisation and ReLU pending."""
        height, width, channels = values_HWC.shape
        moments_2RC = np.empty((2, height, channels), values_HWC.dtype)
        _measure(values_HWC, moments_2RC)
        return Map(values_HWC, self.from_rows(moments_2RC, np.full(height, float(width))))


def consumed(given: Map) -> Floats:
    """Gives the map's content, made in place: a map whose normalisation is pending must not be read again
    afterwards."""
    if given.pending_2C is not None:
        _activate(given.values_HWC, given.pending_2C)
    return given.values_HWC


def padded(given: Map, by: int, place: Place | None = None) -> Floats:
    """Gives the map's content with reflection padding; of a part of the map, with what is around it."""
    height, width, channels = given.values_HWC.shape
    top, left, bottom, right = place or (0, 0, height, width)
    out = np.empty((bottom - top + 2 * by, right - left + 2 * by, channels), given.values_HWC.dtype)
    _pad(given.values_HWC, given.pending_2C, top - by, left - by, out)
    return out


def add_normed(x: Map, y: Map) -> Map:
    """Adds x + norm(y), without ReLU: the end of a residual block. Made in place of y, which must not be read again."""
    assert x.pending_2C is None and y.pending_2C is not None
    _add_normed(x.values_HWC, y.values_HWC, y.pending_2C)
    return Map(y.values_HWC)


def added(x: Map, y: Map) -> Map:
    """Adds two maps' contents."""
    out = np.empty_like(x.values_HWC)
    _add(x.values_HWC, x.pending_2C, y.values_HWC, y.pending_2C, out)
    return Map(out)


@helper
def row_moments(v: Floats, mean_C: Floats, spread_C: Floats) -> None:
    """Computes mean and sum of squared deviations per channel of (H, W, C), by two passes, for maps with a large
    mean."""
    height, width, channels = v.shape
    fours = width - width % 4  # four pixels at a time, so that loops are worth their start
    mean_C[:] = 0
    spread_C[:] = 0
    for y in range(height):
        for x in range(0, fours, 4):
            x1, x2, x3 = x + 1, x + 2, x + 3
            for c in range(channels):
                mean_C[c] += (v[y, x, c] + v[y, x1, c]) + (v[y, x2, c] + v[y, x3, c])
        for x in range(fours, width):
            for c in range(channels):
                mean_C[c] += v[y, x, c]
    count = v.dtype.type(height * width)
    for c in range(channels):
        mean_C[c] /= count
    for y in range(height):
        for x in range(0, fours, 4):
            x1, x2, x3 = x + 1, x + 2, x + 3
            for c in range(channels):
                m = mean_C[c]
                d0, d1, d2, d3 = v[y, x, c] - m, v[y, x1, c] - m, v[y, x2, c] - m, v[y, x3, c] - m
                spread_C[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
        for x in range(fours, width):
            for c in range(channels):
                spread_C[c] += (v[y, x, c] - mean_C[c]) ** 2


@kernel
def _measure(values_HWC: Floats, moments_2RC: Floats) -> None:
    for y in prange(values_HWC.shape[0]):
        row_moments(values_HWC[y : y + 1], moments_2RC[0, y], moments_2RC[1, y])


@helper
def _affine(moments_2RC: Floats, counts_R: NDArray[np.float64], weight_C: Floats, bias_C: Floats, eps: float) -> Floats:
    """Combines rows' moments to scale and shift (T. Chan et al., "Updating formulae and a pairwise algorithm",
    1979)."""
    total = counts_R.sum()
    pending_2C = np.empty((2, len(weight_C)), weight_C.dtype)
    for c in range(len(weight_C)):
        mean = 0.0
        for r in range(len(counts_R)):
            mean += counts_R[r] * np.float64(moments_2RC[0, r, c])
        mean /= total
        spread = 0.0
        for r in range(len(counts_R)):
            difference = np.float64(moments_2RC[0, r, c]) - mean
            spread += np.float64(moments_2RC[1, r, c]) + counts_R[r] * difference * difference
        scale = np.float64(weight_C[c]) / np.sqrt(spread / total + eps)
        pending_2C[0, c] = scale
        pending_2C[1, c] = np.float64(bias_C[c]) - mean * scale
    return pending_2C


@helper
def read_pixel(values_HWC: Floats, pending_2C: Floats | None, y: int, x: int, out_C: Floats) -> None:
    """Reads a pixel's content. Not by max(): NaN must stay visible."""
    if pending_2C is None:
        for c in range(len(out_C)):
            out_C[c] = values_HWC[y, x, c]
    else:
        zero = values_HWC.dtype.type(0)
        for c in range(len(out_C)):
            v = values_HWC[y, x, c] * pending_2C[0, c] + pending_2C[1, c]
            out_C[c] = zero if v < zero else v


@kernel
def _activate(values_HWC: Floats, pending_2C: Floats) -> None:
    height, width, _ = values_HWC.shape
    for y in prange(height):
        for x in range(width):
            read_pixel(values_HWC, pending_2C, y, x, values_HWC[y, x])


@kernel
def _pad(values_HWC: Floats, pending_2C: Floats | None, top: int, left: int, out: Floats) -> None:
    height, width, _ = values_HWC.shape
    for y in prange(out.shape[0]):
        for x in range(out.shape[1]):
            read_pixel(values_HWC, pending_2C, reflect(top + y, height), reflect(left + x, width), out[y, x])


@kernel
def _add_normed(x_HWC: Floats, y_HWC: Floats, pending_2C: Floats) -> None:
    height, width, channels = y_HWC.shape
    for y in prange(height):
        for x in range(width):
            for c in range(channels):
                y_HWC[y, x, c] = x_HWC[y, x, c] + (y_HWC[y, x, c] * pending_2C[0, c] + pending_2C[1, c])


@kernel
def _add(a_HWC: Floats, a_2C: Floats | None, b_HWC: Floats, b_2C: Floats | None, out: Floats) -> None:
    height, width, channels = out.shape
    for y in prange(height):
        summand_C = np.empty(channels, out.dtype)
        for x in range(width):
            read_pixel(a_HWC, a_2C, y, x, out[y, x])
            read_pixel(b_HWC, b_2C, y, x, summand_C)
            for c in range(channels):
                out[y, x, c] += summand_C[c]
