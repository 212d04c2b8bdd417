"""7x7 convolutions of sparse pictures by table lookup: a sum of the weights at the few channels that are not 0.

Where an area of 7x7 pixels has one label only, the sum of its weights is one row of the table; so it is for all
neighbours of one label in a line of 7 pixels.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray
from torch import nn

from flowreel.pipeline.generator.fast.activations import Floats, Map, Norm
from flowreel.pipeline.generator.fast.kernels import helper, kernel, reflect
from flowreel.pipeline.generator.fast.labels import REACH, RUNS, TAPS, Ints, SparseWindow

_STRIPES = 64  # threads take every 64th row: a street's upper rows have less to do than its lower ones


class LabelConv:
    """Reflection padding 3, 7x7 convolution of T frames, norm pending; its bias is left out, the norm removes it.

    The table has a row of O weights for each frame, line y, channel and run of columns; and for each frame and
    channel: of all 49.
    """

    def __init__(self, conv: nn.Conv2d, norm: Norm, frames: int) -> None:
        outputs, channels = conv.weight.shape[0], conv.weight.shape[1] // frames
        weight_OTLYX = conv.weight.detach().contiguous().view(outputs, frames, channels, TAPS, TAPS)
        tap_TYLXO: Floats = weight_OTLYX.permute(1, 3, 2, 4, 0).contiguous().numpy()
        runs = [tap_TYLXO[:, :, :, x:].cumsum(axis=3) for x in range(TAPS)]
        run_TYLRO = np.concatenate(runs, axis=3)
        area_TLO = run_TYLRO[:, :, :, TAPS - 1].sum(axis=1)
        self.table_RO: Floats = np.concatenate([part.reshape(-1, outputs) for part in (run_TYLRO, area_TLO)])
        self.channels = channels
        self.norm = norm


def convolved(window: SparseWindow, conv: LabelConv, other: LabelConv | None) -> tuple[Map, Map | None]:
    """Convolves T pictures of one size to (H, W, O); by two convolutions at once, if there are two, in one pass."""
    size = window.area_THW.shape[1:]
    arrays = (window.area_THW, window.line_TP, window.run_M, window.factor_M)
    out_HWO = np.empty((*size, conv.table_RO.shape[1]), conv.table_RO.dtype)
    other_HWO = np.empty((*size, other.table_RO.shape[1]), conv.table_RO.dtype) if other else None
    _convolve(arrays, conv.channels, conv.table_RO, out_HWO, other.table_RO if other else None, other_HWO)
    return conv.norm.of(out_HWO), other.norm.of(other_HWO) if other and other_HWO is not None else None


Arrays = tuple[Ints, Ints, Ints, Floats]
Rows = NDArray[np.int64]


@kernel
def _convolve(
    window: Arrays, channels: int, table_RO: Floats, out_HWO: Floats, other_RO: Floats | None, other_HWO: Floats | None
) -> None:
    height, width, _ = out_HWO.shape
    for stripe in prange(_STRIPES):
        rows = np.empty(len(table_RO), np.int64)
        factors = np.empty(len(table_RO), table_RO.dtype)
        for y in range(stripe, height, _STRIPES):
            for x in range(width):
                terms = _terms(window, y, x, channels, rows, factors)
                _sum_rows(table_RO, rows, factors, terms, out_HWO[y, x])
                if other_RO is not None and other_HWO is not None:
                    _sum_rows(other_RO, rows, factors, terms, other_HWO[y, x])


@helper
def _sum_rows(table_RO: Floats, rows: Rows, factors: Floats, terms: int, out_O: Floats) -> None:
    """Sums four rows at a time, so that loops are worth their start."""
    out_O[:] = 0
    for n in range(0, terms, 4):
        r0, r1, r2, r3 = rows[n], rows[n + 1], rows[n + 2], rows[n + 3]
        f0, f1, f2, f3 = factors[n], factors[n + 1], factors[n + 2], factors[n + 3]
        for o in range(len(out_O)):
            first, second = f0 * table_RO[r0, o] + f1 * table_RO[r1, o], f2 * table_RO[r2, o] + f3 * table_RO[r3, o]
            out_O[o] += first + second


@helper
def _terms(window: Arrays, y: int, x: int, channels: int, rows: Rows, factors: Floats) -> int:
    """Writes the rows of the table, and their factors, that add up to a pixel; gives their number, a multiple of
    four."""
    area_THW, line_TP, run_M, factor_M = window
    frames, height, width = area_THW.shape
    terms = 0
    for t in range(frames):
        area = area_THW[t, y, x]
        if area >= 0:
            rows[terms], factors[terms] = ((frames * TAPS * RUNS) + t) * channels + area, 1
            terms += 1
            continue
        for i in range(TAPS):
            p, line = reflect(y + i - REACH, height) * width + x, (t * TAPS + i) * channels * RUNS
            for m in range(line_TP[t, p], line_TP[t, p + 1]):
                rows[terms], factors[terms] = line + run_M[m], factor_M[m]
                terms += 1
    while terms % 4:
        rows[terms], factors[terms] = rows[terms - 1], 0
        terms += 1
    return terms
