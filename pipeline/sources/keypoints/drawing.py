"""Curves through keypoints and the brush they are painted with, of which pose and face pictures consist.

The rules are odd (an asymmetric brush, averaging over a curve's whole set of pixels, truncated least-squares fits), but
they are what the generators were trained on: tests compare pictures bit for bit with reference pictures.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (N, 2): x, y in pixels
Canvas = NDArray[np.uint8]  # (H, W, 3), or (H, W) for one channel
Colour = tuple[int, int, int]

STEEPEST = 1.0  # largest curvature |a| of y = a x^2 + b x + c that is drawn
NO_POINTS = np.zeros((0, 2), np.int64)


def curve(point_N2: Points) -> NDArray[np.int64]:
    """Gives the pixels (x, y) along a line through two points or a parabola through three, (M, 2); may be none.

    The curve is sampled once per pixel along the direction in which the points are further apart.
    """
    gap_2 = np.abs(np.diff(point_N2, axis=0)).max(axis=0)
    upright = gap_2[0] < gap_2[1]
    x_N, y_N = (point_N2[:, ::-1] if upright else point_N2).T  # along and across
    fit = _fit(x_N, y_N)
    if len(fit) == 3 and abs(fit[0]) > STEEPEST:
        return NO_POINTS
    low, high = sorted((x_N[0], x_N[-1]))
    x_M = np.linspace(low, high, int(high - low))
    along_M2 = np.stack((x_M, _polynomial(x_M, *fit)), axis=-1).astype(np.int64)
    return along_M2[:, ::-1] if upright else along_M2


def paint(canvas: Canvas, pixel_M2: NDArray[np.int64], brush: int, colour: Colour, ends: bool) -> None:
    """Paints a curve on an RGB canvas, in place: with a square of ``2 * brush`` pixels, and discs on its ends."""
    if not len(pixel_M2):
        return
    for dy in range(-brush, brush):
        for dx in range(-brush, brush):
            _blend(canvas, pixel_M2 + (dx, dy), colour)
    if ends:
        reach = 2 * brush
        for dy in range(-reach, reach):
            for dx in range(-reach, reach):
                if dx * dx + dy * dy < reach * reach:
                    _blend(canvas, pixel_M2[[0, -1]] + (dx, dy), colour)


def paint_white(canvas_HW: Canvas, pixel_M2: NDArray[np.int64]) -> None:
    """Paints a curve on a one-channel canvas with brush 1, in place, without ends."""
    for dy in (-1, 0):
        for dx in (-1, 0):
            x_M, y_M = _inside(canvas_HW, pixel_M2 + (dx, dy))
            canvas_HW[y_M, x_M] = 255


def _blend(canvas: Canvas, pixel_M2: NDArray[np.int64], colour: Colour) -> None:
    """Sets all pixels of a set to the colour if all are black, otherwise to the mean of their values and it."""
    x_M, y_M = _inside(canvas, pixel_M2)
    old_M3 = canvas[y_M, x_M]
    canvas[y_M, x_M] = (old_M3.astype(np.int64) + colour) // 2 if old_M3.any() else colour


def _inside(canvas: Canvas, pixel_M2: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gives x and y, moved to the border where they are beyond it."""
    height, width = canvas.shape[:2]
    return pixel_M2[:, 0].clip(0, width - 1), pixel_M2[:, 1].clip(0, height - 1)


def _polynomial(x: NDArray[np.float64], *coefficients: float) -> NDArray[np.float64]:
    """Evaluates a x + b, or a x^2 + b x + c."""
    if len(coefficients) == 2:
        return coefficients[0] * x + coefficients[1]
    return coefficients[0] * x**2 + coefficients[1] * x + coefficients[2]


def _line(x: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    return _polynomial(x, a, b)


def _parabola(x: NDArray[np.float64], a: float, b: float, c: float) -> NDArray[np.float64]:
    return _polynomial(x, a, b, c)


def _fit(x_N: NDArray[np.float64], y_N: NDArray[np.float64]) -> NDArray[Any]:
    """Fits by scipy's least squares: its rounding decides which pixel a value close to an integer is truncated to."""
    from scipy.optimize import OptimizeWarning, curve_fit  # slow to import, and only pictures of this kind need it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # as many points as coefficients have no covariance
        try:
            return np.asarray(curve_fit(_line if len(x_N) < 3 else _parabola, x_N, y_N)[0])
        except RuntimeError as error:
            points = ", ".join(f"({x:g}, {y:g})" for x, y in zip(x_N, y_N, strict=True))
            raise ValueError(f"no curve fits the points {points}: {error}") from None
