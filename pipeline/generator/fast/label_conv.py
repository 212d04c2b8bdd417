"""7x7 convolutions of sparse pictures by table lookup: a sum of the weights at the few channels that are not 0.

Where a line of 7 or an area of 7x7 pixels has one label only, the sum of its weights is one row of the table; a line
that the border of an object cuts is two.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray
from torch import nn

from pipeline.generator.fast.activations import Floats, Map, Norm
from pipeline.generator.fast.kernels import helper, kernel, reflect
from pipeline.generator.fast.labels import REACH, Ints, SparseWindow

TAPS = 2 * REACH + 1
_CUTS = TAPS + 1  # places where a line can be cut, its ends included
_STRIPES = 64  # threads take every 64th row: a street's upper rows have less to do than its lower ones


class LabelConv:
    """Reflection padding 3, 7x7 convolution of T frames, norm pending; its bias is left out, the norm removes it.

    The table has a row of O weights for each frame, line y, column x and channel: of that column (x = 0..6), of all
    columns before x (x = 0..7), of all columns from x on (x = 0..7); and for each frame and channel: of all 49.
    """

    def __init__(self, conv: nn.Conv2d, norm: Norm, frames: int) -> None:
        outputs, channels = conv.weight.shape[0], conv.weight.shape[1] // frames
        weight_OTLYX = conv.weight.detach().contiguous().view(outputs, frames, channels, TAPS, TAPS)
        tap_TYXLO: Floats = weight_OTLYX.permute(1, 3, 4, 2, 0).contiguous().numpy()
        before_TYXLO = np.concatenate((np.zeros_like(tap_TYXLO[:, :, :1]), tap_TYXLO.cumsum(axis=2)), axis=2)
        after_TYXLO = before_TYXLO[:, :, -1:] - before_TYXLO
        area_TLO = before_TYXLO[:, :, -1].sum(axis=1)
        parts = (tap_TYXLO, before_TYXLO, after_TYXLO, area_TLO)
        self.table_RO: Floats = np.concatenate([part.reshape(-1, outputs) for part in parts])
        self.channels = channels
        self.norm = norm


def convolved(window: SparseWindow, conv: LabelConv, other: LabelConv | None) -> tuple[Map, Map | None]:
    """T pictures of one size -> (H, W, O); by two convolutions at once, if there are two, with one look."""
    size = window.area_THW.shape[1:]
    arrays = (window.begin_TP, window.channel_N, window.value_N, window.pure_THW, window.line_THW, window.area_THW)
    out_HWO = np.empty((*size, conv.table_RO.shape[1]), conv.table_RO.dtype)
    other_HWO = np.empty((*size, other.table_RO.shape[1]), conv.table_RO.dtype) if other else None
    _convolve(arrays, conv.channels, conv.table_RO, out_HWO, other.table_RO if other else None, other_HWO)
    return conv.norm.of(out_HWO), other.norm.of(other_HWO) if other and other_HWO is not None else None


Arrays = tuple[Ints, Ints, Floats, Ints, Ints, Ints]
Rows = NDArray[np.int64]


@kernel
def _convolve(
    window: Arrays, channels: int, table_RO: Floats, out_HWO: Floats, other_RO: Floats | None, other_HWO: Floats | None
) -> None:
    height, width, outputs = out_HWO.shape
    for stripe in prange(_STRIPES):
        rows = np.empty(len(table_RO), np.int64)
        factors = np.empty(len(table_RO), table_RO.dtype)
        for y in range(stripe, height, _STRIPES):
            for x in range(width):
                terms = _terms(window, y, x, channels, rows, factors)
                for o in range(outputs):
                    out_HWO[y, x, o] = 0
                for n in range(terms):
                    r, factor = rows[n], factors[n]
                    for o in range(outputs):
                        out_HWO[y, x, o] += factor * table_RO[r, o]
                if other_RO is not None and other_HWO is not None:
                    for o in range(other_RO.shape[1]):
                        other_HWO[y, x, o] = 0
                    for n in range(terms):
                        r, factor = rows[n], factors[n]
                        for o in range(other_RO.shape[1]):
                            other_HWO[y, x, o] += factor * other_RO[r, o]


@helper
def _terms(window: Arrays, y: int, x: int, channels: int, rows: Rows, factors: Floats) -> int:
    """The rows of the table, and their factors, that add up to a pixel; returns how many."""
    line_THW, area_THW = window[4], window[5]
    frames, height, _ = area_THW.shape
    _, after, areas = _begins(frames, channels)
    terms = 0
    for t in range(frames):
        area = area_THW[t, y, x]
        if area >= 0:
            rows[terms], factors[terms] = areas + t * channels + area, 1
            terms += 1
            continue
        for i in range(TAPS):
            row = reflect(y + i - REACH, height)
            line = line_THW[t, row, x]
            if line >= 0:
                rows[terms], factors[terms] = after + (t * TAPS + i) * _CUTS * channels + line, 1
                terms += 1
            else:
                terms = _mixed_line(window, (t, i, row, x), channels, rows, factors, terms)
    return terms


@helper
def _begins(frames: int, channels: int) -> tuple[int, int, int]:
    """Where the second, third and fourth part of the table begin."""
    taps, cuts = frames * TAPS * TAPS * channels, frames * TAPS * _CUTS * channels
    return taps, taps + cuts, taps + 2 * cuts


@helper
def _mixed_line(
    window: Arrays, at: tuple[int, int, int, int], channels: int, rows: Rows, factors: Floats, terms: int
) -> int:
    """Adds the terms of 7 pixels of several labels; ``at``: frame, line of weights, row and column of the middle."""
    begin_TP, channel_N, value_N, pure_THW = window[0], window[1], window[2], window[3]
    t, i, row, x = at
    width = pure_THW.shape[2]
    before, after, _ = _begins(len(pure_THW), channels)
    cut, j = (t * TAPS + i) * _CUTS, 0
    while j < TAPS:
        column = reflect(x + j - REACH, width)
        label = pure_THW[t, row, column]
        first, j = j, j + 1
        if label < 0:
            p = row * width + column
            for n in range(begin_TP[t, p], begin_TP[t, p + 1]):
                tap = (t * TAPS + i) * TAPS + first
                rows[terms], factors[terms] = tap * channels + channel_N[n], value_N[n]
                terms += 1
            continue
        while j < TAPS and pure_THW[t, row, reflect(x + j - REACH, width)] == label:
            j += 1
        if j == TAPS:
            rows[terms], factors[terms] = after + (cut + first) * channels + label, 1
            terms += 1
            continue
        rows[terms], factors[terms] = before + (cut + j) * channels + label, 1
        terms += 1
        if first > 0:
            rows[terms], factors[terms] = before + (cut + first) * channels + label, -1
            terms += 1
    return terms
