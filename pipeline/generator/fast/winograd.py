"""3x3 convolutions by Winograd's minimal filtering, F(4x4, 3x3): 36 instead of 144 multiplications per 16 outputs.

A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4. Sampled at 0, +-P, +-Q and
infinity: with P = 3/4 and Q = 3/2, instead of the usual 1 and 2, rounding errors are half as large (measured), and all
constants of the transforms of maps are exact in binary.
"""

import numpy as np
import torch
from numba import prange
from torch import Tensor, nn

from pipeline.generator.fast.activations import Floats, Map, Norm, read_pixel, row_moments
from pipeline.generator.fast.kernels import helper, kernel, reflect

P, Q = 0.75, 1.5
PP, QQ, PPP, QQQ = P**2, Q**2, P**3, Q**3
_BLOCK = 600_000  # numbers in the transformed tiles that are worked on at once, so that they stay in the cache


class Winograd:
    """Reflection padding 1, 3x3 convolution, norm pending. The convolution's bias is left out: the norm removes it."""

    def __init__(self, conv: nn.Conv2d, norm: Norm) -> None:
        g_63 = torch.from_numpy(_weight_transform())
        u_66IO = torch.einsum("ia,ocab,jb->ijco", g_63, conv.weight.detach().double(), g_63)
        self.weight_36IO: Tensor = u_66IO.flatten(0, 1).to(conv.weight.dtype).contiguous()
        self.norm = norm

    def __call__(self, given: Map) -> Map:
        """(H, W, I) -> (H, W, O)."""
        height, width, inputs = given.values_HWC.shape
        outputs = self.weight_36IO.shape[2]
        rows, columns = -(-height // 4), -(-width // 4)
        block = max(1, min(rows, _BLOCK // (36 * columns * max(inputs, outputs))))
        values_HWC = np.empty((height, width, outputs), given.values_HWC.dtype)
        moments_2RC = np.empty((2, rows, outputs), given.values_HWC.dtype)
        for row in range(0, rows, block):
            tiles = min(block, rows - row) * columns
            v_36TI = torch.empty((36, tiles, inputs), dtype=self.weight_36IO.dtype)
            _transform(given.values_HWC, given.pending_2C, row, v_36TI.numpy())
            m_36TO = torch.bmm(v_36TI, self.weight_36IO)
            _restore(m_36TO.numpy(), row, values_HWC, moments_2RC)
        counts_R = np.array([width * min(4, height - 4 * row) for row in range(rows)], np.float64)
        return Map(values_HWC, self.norm.from_rows(moments_2RC, counts_R))


def _weight_transform() -> Floats:
    """G, (6, 3): a row of powers per sampling point, divided by its distances to the other points."""
    points = [0.0, P, -P, Q, -Q]
    rows = [[p**k / np.prod([p - other for other in points if other != p]) for k in range(3)] for p in points]
    return np.array([*rows, [0.0, 0.0, 1.0]])


# Below, one output and few inputs per loop: more, and the compiler gives up on vector instructions.


@helper
def _columns_in(x_6N: Floats, out_6N: Floats) -> None:
    """B' x: six rows of the map to six rows of samples."""
    kind, count = x_6N.dtype.type, x_6N.shape[1]
    p, q, pp, qq, sum_, product = kind(P), kind(Q), kind(PP), kind(QQ), kind(PP + QQ), kind(PP * QQ)
    for n in range(count):
        out_6N[0, n] = product * x_6N[0, n] - sum_ * x_6N[2, n] + x_6N[4, n]
    for n in range(count):
        out_6N[1, n] = (x_6N[4, n] - qq * x_6N[2, n]) + p * (x_6N[3, n] - qq * x_6N[1, n])
    for n in range(count):
        out_6N[2, n] = (x_6N[4, n] - qq * x_6N[2, n]) - p * (x_6N[3, n] - qq * x_6N[1, n])
    for n in range(count):
        out_6N[3, n] = (x_6N[4, n] - pp * x_6N[2, n]) + q * (x_6N[3, n] - pp * x_6N[1, n])
    for n in range(count):
        out_6N[4, n] = (x_6N[4, n] - pp * x_6N[2, n]) - q * (x_6N[3, n] - pp * x_6N[1, n])
    for n in range(count):
        out_6N[5, n] = product * x_6N[1, n] - sum_ * x_6N[3, n] + x_6N[5, n]


@helper
def _tile_in(x_XC: Floats, first: int, v_36TC: Floats, i: int, t: int) -> None:
    """x B: six columns of row i of the samples, from ``first`` on, to the operands of tile t's products."""
    kind, channels = x_XC.dtype.type, x_XC.shape[1]
    p, q, pp, qq, sum_, product = kind(P), kind(Q), kind(PP), kind(QQ), kind(PP + QQ), kind(PP * QQ)
    x0, x1, x2, x3, x4, x5 = first, first + 1, first + 2, first + 3, first + 4, first + 5
    for c in range(channels):
        v_36TC[i * 6, t, c] = product * x_XC[x0, c] - sum_ * x_XC[x2, c] + x_XC[x4, c]
    for c in range(channels):
        v_36TC[i * 6 + 1, t, c] = (x_XC[x4, c] - qq * x_XC[x2, c]) + p * (x_XC[x3, c] - qq * x_XC[x1, c])
    for c in range(channels):
        v_36TC[i * 6 + 2, t, c] = (x_XC[x4, c] - qq * x_XC[x2, c]) - p * (x_XC[x3, c] - qq * x_XC[x1, c])
    for c in range(channels):
        v_36TC[i * 6 + 3, t, c] = (x_XC[x4, c] - pp * x_XC[x2, c]) + q * (x_XC[x3, c] - pp * x_XC[x1, c])
    for c in range(channels):
        v_36TC[i * 6 + 4, t, c] = (x_XC[x4, c] - pp * x_XC[x2, c]) - q * (x_XC[x3, c] - pp * x_XC[x1, c])
    for c in range(channels):
        v_36TC[i * 6 + 5, t, c] = product * x_XC[x1, c] - sum_ * x_XC[x3, c] + x_XC[x5, c]


@kernel
def _transform(x_HWC: Floats, pending_2C: Floats | None, first: int, v_36TC: Floats) -> None:
    """V = B' d B for the rows of tiles from ``first`` on."""
    height, width, channels = x_HWC.shape
    columns = (width + 3) // 4
    span = columns * 4 + 2
    for row in prange(v_36TC.shape[1] // columns):
        rows_6XC = np.empty((6, span, channels), x_HWC.dtype)
        samples_6XC = np.empty((6, span, channels), x_HWC.dtype)
        for i in range(6):
            y = reflect((first + row) * 4 + i - 1, height)
            for x in range(span):
                read_pixel(x_HWC, pending_2C, y, reflect(x - 1, width), rows_6XC[i, x])
        _columns_in(rows_6XC.reshape(6, span * channels), samples_6XC.reshape(6, span * channels))
        for i in range(6):
            for column in range(columns):
                _tile_in(samples_6XC[i], column * 4, v_36TC, i, row * columns + column)


@helper
def _columns_out(m_36TC: Floats, j: int, t: int, out_46TC: Floats, column: int) -> None:
    """A' m: column j of tile t."""
    kind, channels = m_36TC.dtype.type, m_36TC.shape[2]
    p, q, pp, qq, ppp, qqq = kind(P), kind(Q), kind(PP), kind(QQ), kind(PPP), kind(QQQ)
    m0, m1, m2, m3, m4, m5 = j, 6 + j, 12 + j, 18 + j, 24 + j, 30 + j
    for c in range(channels):
        even = (m_36TC[m1, t, c] + m_36TC[m2, t, c]) + (m_36TC[m3, t, c] + m_36TC[m4, t, c])
        out_46TC[0, j, column, c] = m_36TC[m0, t, c] + even
    for c in range(channels):
        odd = p * (m_36TC[m1, t, c] - m_36TC[m2, t, c]) + q * (m_36TC[m3, t, c] - m_36TC[m4, t, c])
        out_46TC[1, j, column, c] = odd
    for c in range(channels):
        even = pp * (m_36TC[m1, t, c] + m_36TC[m2, t, c]) + qq * (m_36TC[m3, t, c] + m_36TC[m4, t, c])
        out_46TC[2, j, column, c] = even
    for c in range(channels):
        odd = ppp * (m_36TC[m1, t, c] - m_36TC[m2, t, c]) + qqq * (m_36TC[m3, t, c] - m_36TC[m4, t, c])
        out_46TC[3, j, column, c] = odd + m_36TC[m5, t, c]


@helper
def _tile_out(m_6TC: Floats, t: int, y_HWC: Floats, y: int) -> None:
    """m A: one row of tile t to four pixels of row y, or as many as the map has."""
    kind = m_6TC.dtype.type
    _, width, channels = y_HWC.shape
    p, q, pp, qq, ppp, qqq = kind(P), kind(Q), kind(PP), kind(QQ), kind(PPP), kind(QQQ)
    x = t * 4
    for c in range(channels):
        y_HWC[y, x, c] = m_6TC[0, t, c] + (m_6TC[1, t, c] + m_6TC[2, t, c]) + (m_6TC[3, t, c] + m_6TC[4, t, c])
    if x + 1 < width:
        for c in range(channels):
            y_HWC[y, x + 1, c] = p * (m_6TC[1, t, c] - m_6TC[2, t, c]) + q * (m_6TC[3, t, c] - m_6TC[4, t, c])
    if x + 2 < width:
        for c in range(channels):
            y_HWC[y, x + 2, c] = pp * (m_6TC[1, t, c] + m_6TC[2, t, c]) + qq * (m_6TC[3, t, c] + m_6TC[4, t, c])
    if x + 3 < width:
        for c in range(channels):
            odd = ppp * (m_6TC[1, t, c] - m_6TC[2, t, c]) + qqq * (m_6TC[3, t, c] - m_6TC[4, t, c])
            y_HWC[y, x + 3, c] = odd + m_6TC[5, t, c]


@kernel
def _restore(m_36TC: Floats, first: int, y_HWC: Floats, moments_2RC: Floats) -> None:
    """Y = A' m A for the rows of tiles from ``first`` on, and each row's moments."""
    height, width, channels = y_HWC.shape
    columns = (width + 3) // 4
    for row in prange(m_36TC.shape[1] // columns):
        top = (first + row) * 4
        rows = min(4, height - top)
        lines_46TC = np.empty((4, 6, columns, channels), y_HWC.dtype)
        for j in range(6):
            for column in range(columns):
                _columns_out(m_36TC, j, row * columns + column, lines_46TC, column)
        for i in range(rows):
            for column in range(columns):
                _tile_out(lines_46TC[i], column, y_HWC, top + i)
        row_moments(y_HWC[top : top + rows], moments_2RC[0, first + row], moments_2RC[1, first + row])
