"""3x3 convolutions by Winograd's minimal filtering, F(4x4, 3x3): 36 instead of 144 multiplications per 16 outputs.

A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4. Sampled at 0, +-P, +-Q and
infinity: with P = 3/4 and Q = 3/2, instead of the usual 1 and 2, rounding errors are half as large (measured), and all
constants of the transforms of maps are exact in binary.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numba import prange
from torch import Tensor, nn

from flowreel.pipeline.generator.fast.activations import Floats, Map, Norm, read_pixel, row_moments
from flowreel.pipeline.generator.fast.kernels import helper, kernel, reflect

P, Q = 0.75, 1.5
PP, QQ, PPP, QQQ = P**2, Q**2, P**3, Q**3
# Numbers in the transformed tiles that are worked on at once: rows of one map, and several small maps.
_BLOCK, _TOGETHER = 600_000, 2_400_000  # floats: what stays in the cache; what is worth one reading of the weights
_WEIGHTS = 1_000_000  # transformed at once
# Products that are smaller are summed in another order, by PyTorch (multiplications) and by MKL (tiles), and a clip's
# bits would depend on how many maps are multiplied together; MKL on AMD does the same in float64 to tiles that do not
# fill up a group of four.
_LEAST, _LEAST_TILES = 400, 4


class Winograd:
    """Reflection padding 1, 3x3 convolution, norm pending. The convolution's bias is left out: the norm removes it."""

    def __init__(self, conv: nn.Conv2d, norm: Norm, products: torch.dtype) -> None:
        outputs, inputs = conv.weight.shape[:2]
        self.weight_36IO = _transformed(conv.weight.detach(), products)
        self.least = max(_LEAST_TILES, -(-_LEAST // (inputs * outputs)))
        self.norm = norm

    def __call__(self, maps: Sequence[Map]) -> list[Map]:
        """Convolves maps of one size, (H, W, I) to (H, W, O); small ones share the reading of the weights."""
        tiles = -(-maps[0].values_HWC.shape[0] // 4) * -(-maps[0].values_HWC.shape[1] // 4)
        together = max(1, _TOGETHER // (36 * tiles * max(self.weight_36IO.shape[1:])))
        return [map_ for i in range(0, len(maps), together) for map_ in self._convolved(maps[i : i + together])]

    def _convolved(self, maps: Sequence[Map]) -> list[Map]:
        height, width, inputs = maps[0].values_HWC.shape
        outputs, kind = self.weight_36IO.shape[2], maps[0].values_HWC.dtype
        rows, columns = -(-height // 4), -(-width // 4)
        blocks = -(-rows // max(1, _BLOCK // (36 * columns * max(inputs, outputs))))
        block = -(-rows // blocks)  # all about as large
        values = [np.empty((height, width, outputs), kind) for _ in maps]
        moments = [np.empty((2, rows, outputs), kind) for _ in maps]
        v_36TI, m_36TO = self._tiles(block * columns * len(maps))
        for row in range(0, rows, block):
            tiles = min(block, rows - row) * columns
            for i, given in enumerate(maps):
                _transform(given.values_HWC, given.pending_2C, row, i * tiles, tiles, v_36TI)
            self._multiply(v_36TI, m_36TO)
            for i in range(len(maps)):
                _restore(m_36TO, i * tiles, tiles, row, values[i], moments[i])
        counts_R = np.array([width * min(4, height - 4 * row) for row in range(rows)], np.float64)
        return [Map(v, self.norm.from_rows(m, counts_R)) for v, m in zip(values, moments, strict=True)]

    def _tiles(self, count: int) -> tuple[Floats, Floats]:
        """Gives room for ``count`` tiles, given and multiplied: one for all blocks, so that it stays in the cache."""
        _, inputs, outputs = self.weight_36IO.shape
        room = -(-max(count, self.least) // _LEAST_TILES) * _LEAST_TILES
        v_36TI = torch.empty((36, room, inputs), dtype=self.norm.dtype)
        v_36TI[:, count:] = 0
        return v_36TI.numpy(), torch.empty((36, v_36TI.shape[1], outputs), dtype=self.norm.dtype).numpy()

    def _multiply(self, v_36TI: Floats, m_36TO: Floats) -> None:
        v, m = torch.from_numpy(v_36TI), torch.from_numpy(m_36TO)
        if v.dtype == self.weight_36IO.dtype:
            torch.bmm(v, self.weight_36IO, out=m)
        else:
            m.copy_(torch.bmm(v.to(self.weight_36IO.dtype), self.weight_36IO))


def _transformed(weight_OI33: Tensor, products: torch.dtype) -> Tensor:
    """Transforms weights to the sampling points, (36, I, O), in float64: a few inputs at a time, which is 8 times as
    fast as all at once, since intermediate values stay in the cache."""
    g_63 = torch.from_numpy(_weight_transform())
    g_36_9 = torch.kron(g_63, g_63)
    outputs, inputs = weight_OI33.shape[:2]
    made_36IO = torch.empty((36, inputs, outputs), dtype=products)
    step = max(1, _WEIGHTS // (36 * outputs))
    for first in range(0, inputs, step):
        last = min(inputs, first + step)
        given_N9 = weight_OI33[:, first:last].transpose(0, 1).double().reshape(-1, 9)
        made_36IO[:, first:last] = (g_36_9 @ given_N9.T).reshape(36, last - first, outputs)
    return made_36IO


def _weight_transform() -> Floats:
    """Gives G, (6, 3): a row of powers per sampling point, divided by its distances to the other points."""
    points = [0.0, P, -P, Q, -Q]
    rows = [[p**k / np.prod([p - other for other in points if other != p]) for k in range(3)] for p in points]
    return np.array([*rows, [0.0, 0.0, 1.0]])


Lines6 = tuple[Floats, Floats, Floats, Floats, Floats, Floats]
Lines4 = tuple[Floats, Floats, Floats, Floats]


@helper
def _samples(x: Lines6, out: Lines6) -> None:
    """Computes B' x."""
    kind = x[0].dtype.type
    p, q, pp, qq, sum_, product = kind(P), kind(Q), kind(PP), kind(QQ), kind(PP + QQ), kind(PP * QQ)
    for n in range(len(x[0])):
        x1, x2, x3, x4 = x[1][n], x[2][n], x[3][n], x[4][n]
        a, b, d, e = x4 - qq * x2, p * (x3 - qq * x1), x4 - pp * x2, q * (x3 - pp * x1)
        out[0][n] = product * x[0][n] - sum_ * x2 + x4
        out[1][n] = a + b
        out[2][n] = a - b
        out[3][n] = d + e
        out[4][n] = d - e
        out[5][n] = product * x1 - sum_ * x3 + x[5][n]


@helper
def _outputs(m: Lines6, out: Lines4) -> None:
    """Computes A' m."""
    kind = m[0].dtype.type
    p, q, pp, qq, ppp, qqq = kind(P), kind(Q), kind(PP), kind(QQ), kind(PPP), kind(QQQ)
    for n in range(len(m[0])):
        a, b, d, e = m[1][n] + m[2][n], m[1][n] - m[2][n], m[3][n] + m[4][n], m[3][n] - m[4][n]
        out[0][n] = m[0][n] + a + d
        out[1][n] = p * b + q * e
        out[2][n] = pp * a + qq * d
        out[3][n] = ppp * b + qqq * e + m[5][n]


@kernel
def _transform(x_HWC: Floats, pending_2C: Floats | None, first: int, offset: int, tiles: int, v_36TC: Floats) -> None:
    """Computes V = B' d B for so many tiles of the rows of tiles from ``first`` on, to place ``offset``.

    Columns of the padded map are kept by their position in a tile, so that loops run over a whole row of tiles.
    """
    height, width, channels = x_HWC.shape
    columns = (width + 3) // 4
    v_36N = v_36TC.reshape(36, v_36TC.shape[1] * channels)
    for row in prange(tiles // columns):
        count = columns * channels
        rows_6X = np.empty((6, 4, columns + 1, channels), x_HWC.dtype)
        rows_6X[:, 2:, columns] = 0  # not read, but calculated with
        for i in range(6):
            y = reflect((first + row) * 4 + i - 1, height)
            for x in range(columns * 4 + 2):
                read_pixel(x_HWC, pending_2C, y, reflect(x - 1, width), rows_6X[i, x % 4, x // 4])
        r = rows_6X.reshape(6, 4 * (columns + 1) * channels)
        s = np.empty_like(r)
        _samples((r[0], r[1], r[2], r[3], r[4], r[5]), (s[0], s[1], s[2], s[3], s[4], s[5]))
        begin = (offset + row * columns) * channels
        end = begin + count
        for i in range(6):
            x, k = s[i].reshape(4, count + channels), i * 6
            tile = (x[0, :count], x[1, :count], x[2, :count], x[3, :count], x[0, channels:], x[1, channels:])
            v0, v1, v2 = v_36N[k, begin:end], v_36N[k + 1, begin:end], v_36N[k + 2, begin:end]
            v3, v4, v5 = v_36N[k + 3, begin:end], v_36N[k + 4, begin:end], v_36N[k + 5, begin:end]
            _samples(tile, (v0, v1, v2, v3, v4, v5))


@kernel
def _restore(m_36TC: Floats, offset: int, tiles: int, first: int, y_HWC: Floats, moments_2RC: Floats) -> None:
    """Computes Y = A' m A of the tiles from ``offset`` on, for the rows of tiles from ``first`` on; and each row's
    moments."""
    height, width, channels = y_HWC.shape
    columns = (width + 3) // 4
    m_36N = m_36TC.reshape(36, m_36TC.shape[1] * channels)
    for row in prange(tiles // columns):
        top = (first + row) * 4
        rows = min(4, height - top)
        count = columns * channels
        begin = (offset + row * columns) * channels
        end = begin + count
        lines_46N = np.empty((4, 6, count), y_HWC.dtype)
        for j in range(6):
            m0, m1, m2 = m_36N[j, begin:end], m_36N[6 + j, begin:end], m_36N[12 + j, begin:end]
            m3, m4, m5 = m_36N[18 + j, begin:end], m_36N[24 + j, begin:end], m_36N[30 + j, begin:end]
            _outputs((m0, m1, m2, m3, m4, m5), (lines_46N[0, j], lines_46N[1, j], lines_46N[2, j], lines_46N[3, j]))
        pixels_4N = np.empty((4, count), y_HWC.dtype)
        pixels_4TC = pixels_4N.reshape(4, columns, channels)
        for i in range(rows):
            parts = (
                lines_46N[i, 0],
                lines_46N[i, 1],
                lines_46N[i, 2],
                lines_46N[i, 3],
                lines_46N[i, 4],
                lines_46N[i, 5],
            )
            _outputs(parts, (pixels_4N[0], pixels_4N[1], pixels_4N[2], pixels_4N[3]))
            for x in range(width):
                for c in range(channels):
                    y_HWC[top + i, x, c] = pixels_4TC[x % 4, x // 4, c]
        row_moments(y_HWC[top : top + rows], moments_2RC[0, first + row], moments_2RC[1, first + row])
