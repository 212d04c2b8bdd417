"""7x7 convolutions of sparse pictures by table lookup: a sum of the weights at the few channels that are not 0.

Where a line of 7 or an area of 7x7 pixels has one label only, the sum of its weights is one row of the table; a line
that the border of an object cuts is two.
"""

import numpy as np
from numba import prange
from torch import nn

from pipeline.generator.fast.activations import Floats, Map, Norm
from pipeline.generator.fast.kernels import kernel, reflect
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
        weight_OTLYX = conv.weight.detach().view(outputs, frames, channels, TAPS, TAPS)
        tap_TYXLO: Floats = weight_OTLYX.permute(1, 3, 4, 2, 0).contiguous().numpy()
        before_TYXLO = np.concatenate((np.zeros_like(tap_TYXLO[:, :, :1]), tap_TYXLO.cumsum(axis=2)), axis=2)
        after_TYXLO = before_TYXLO[:, :, -1:] - before_TYXLO
        area_TLO = before_TYXLO[:, :, -1].sum(axis=1)
        parts = (tap_TYXLO, before_TYXLO, after_TYXLO, area_TLO)
        self.table_RO: Floats = np.concatenate([part.reshape(-1, outputs) for part in parts])
        self.channels = channels
        self.norm = norm

    def __call__(self, window: SparseWindow) -> Map:
        """T pictures of one size -> (H, W, O)."""
        _, height, width = window.area_THW.shape
        values_HWO = np.empty((height, width, self.table_RO.shape[1]), self.table_RO.dtype)
        entries = (window.begin_TP, window.channel_N, window.value_N)
        _convolve(*entries, window.pure_THW, window.line_THW, window.area_THW, self.channels, self.table_RO, values_HWO)
        return self.norm.of(values_HWO)


@kernel
def _convolve(
    begin_TP: Ints,
    channel_N: Ints,
    value_N: Floats,
    pure_THW: Ints,
    line_THW: Ints,
    area_THW: Ints,
    channels: int,
    table_RO: Floats,
    out_HWO: Floats,
) -> None:
    height, width, outputs = out_HWO.shape
    frames = len(area_THW)
    before = frames * TAPS * TAPS * channels
    after = before + frames * TAPS * _CUTS * channels
    areas = after + frames * TAPS * _CUTS * channels
    one = table_RO.dtype.type(1)
    for stripe in prange(_STRIPES):
        rows = np.empty(frames * TAPS * TAPS * channels, np.int64)
        factors = np.empty(len(rows), table_RO.dtype)
        for y in range(stripe, height, _STRIPES):
            for x in range(width):
                terms = 0
                for t in range(frames):
                    area = area_THW[t, y, x]
                    if area >= 0:
                        rows[terms], factors[terms] = areas + t * channels + area, one
                        terms += 1
                        continue
                    for i in range(TAPS):
                        row = reflect(y + i - REACH, height)
                        cut = (t * TAPS + i) * _CUTS
                        line = line_THW[t, row, x]
                        if line >= 0:
                            rows[terms], factors[terms] = after + cut * channels + line, one
                            terms += 1
                            continue
                        j = 0
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
                                rows[terms], factors[terms] = after + (cut + first) * channels + label, one
                                terms += 1
                                continue
                            rows[terms], factors[terms] = before + (cut + j) * channels + label, one
                            terms += 1
                            if first > 0:
                                rows[terms], factors[terms] = before + (cut + first) * channels + label, -one
                                terms += 1
                for o in range(outputs):
                    out_HWO[y, x, o] = 0
                for n in range(terms):
                    r, factor = rows[n], factors[n]
                    for o in range(outputs):
                        out_HWO[y, x, o] += factor * table_RO[r, o]
