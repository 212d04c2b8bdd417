"""What is kept of a picture of people: pictures, maps and points of one frame are cut alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.sources.keypoints.landmarks import Box

COLUMNS = 32  # half the width of the middle is a multiple of it
MARGIN = 1.3  # of what a body takes up around the middle of the piece that follows it
STEP, COARSE_STEP = 4, 32  # pixels: sides are rounded to multiples of the one, then, without a crop, of the other
Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class Crop:
    """A box of the picture, resized, and of that a range of columns."""

    box: Box  # pixels of the picture
    scaled: Size
    columns: tuple[int, int]  # first, and the one after the last, of what is resized

    @property
    def size(self) -> Size:
        return self.columns[1] - self.columns[0], self.scaled[1]

    def nearest(self, pixels: NDArray[np.integer]) -> NDArray[np.integer]:
        """Ids (H, W) or a picture (H, W, 3), at ``size``, by nearest neighbour (Pillow's rule)."""
        kind = pixels.dtype
        wide = pixels.astype(np.int32) if kind == np.uint16 else pixels  # Pillow resizes no 16-bit images
        return np.asarray(self._resized(wide, Image.Resampling.NEAREST)).astype(kind)

    def smooth(self, image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A real image at ``size``: bicubic with antialiasing."""
        return self._resized(image_HW3, Image.Resampling.BICUBIC)

    def points(self, point_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points (x, y) of the picture come to lie."""
        x0, y0, x1, y1 = self.box
        scale = np.array([self.scaled[0] / (x1 - x0), self.scaled[1] / (y1 - y0)])
        return np.asarray((point_N2 - (x0, y0)) * scale - (self.columns[0], 0))

    def holds(self, point_N2: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points, as `points` gives them, lie in what is kept."""
        return np.asarray(((point_N2 >= 0) & (point_N2 < self.size)).all(axis=-1))

    def _resized(self, pixels: NDArray[np.integer], how: Image.Resampling) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = self.box
        boxed = Image.fromarray(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
        return np.asarray(boxed.resize(self.scaled, how))[:, slice(*self.columns)]


def whole_crop(own: Size, size: Size) -> Crop:
    """All of a picture of size ``own``, at ``size``."""
    return box_crop((0, 0, *own), size)


def box_crop(box: Box, size: Size) -> Crop:
    """A box of a picture, at ``size``."""
    return Crop(box, size, (0, size[0]))


def central_crop(own: Size, scaled: Size) -> Crop:
    """The middle columns of a picture of size ``own`` resized to ``scaled`` (vid2vid-spec, section 4.3)."""
    columns = central_columns(scaled[0])
    return Crop((0, 0, *own), scaled, (columns.start, columns.stop))


def central_size(own: Size, height: int) -> Size:
    """What the original resizes pictures of size ``own`` to, to cut out the middle at about this height."""
    return target_size(own, "scaleHeight", height)


def central_columns(width: int) -> slice:
    """The columns that are kept of conditioning and real pictures: about the middle half, a multiple of 64 wide."""
    half = width // 4 // COLUMNS * COLUMNS
    if not half:
        raise ValueError(f"{width} pixels are too narrow for a pose, which keeps the middle half: at least 128 needed")
    return slice(width // 2 - half, width // 2 + half)


def following_crops(body_T4: Sequence[NDArray[np.float64]], own: Size, size: Size, steady: float) -> list[Crop]:
    """Pieces of one size and of the shape of ``size`` that follow a body: ``body_T4``, its box (x0, y0, x1, y1) in each
    frame, NaN where it is out of sight. The path is smoothed over about ``steady`` frames. Pieces stay in the picture.
    """
    box_T4 = _filled(np.asarray(body_T4, np.float64))
    middle_T2 = _smoothed((box_T4[:, :2] + box_T4[:, 2:]) / 2, steady)
    reach_T2 = np.maximum(middle_T2 - box_T4[:, :2], box_T4[:, 2:] - middle_T2)  # an arm may swing out of the middle
    wanted = 2 * MARGIN * reach_T2.max(axis=0)
    scale = max(wanted[0] / size[0], wanted[1] / size[1], 1 / min(size))
    scale = min(scale, own[0] / size[0], own[1] / size[1])
    piece = np.maximum(1, np.floor(scale * np.array(size))).astype(int)
    corner_T2 = np.rint(middle_T2 - piece / 2).astype(int).clip(0, np.array(own) - piece)
    return [box_crop((int(x), int(y), int(x + piece[0]), int(y + piece[1])), size) for x, y in corner_T2]


def _filled(box_T4: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the body is out of sight, what lies between its last place and its next."""
    seen = np.flatnonzero(np.isfinite(box_T4).all(axis=1))
    if not len(seen):
        raise ValueError("nobody is in sight in any frame: there is nothing to follow")
    return np.stack([np.interp(np.arange(len(box_T4)), seen, box_T4[seen, k]) for k in range(4)], axis=1)


def _smoothed(path_T2: NDArray[np.float64], steady: float) -> NDArray[np.float64]:
    """A Gaussian mean over time; a path that stands still stays where it is."""
    apart_TT = np.arange(len(path_T2))[:, None] - np.arange(len(path_T2))
    weight_TT = np.exp(-0.5 * (apart_TT / max(steady, 1e-6)) ** 2)
    return np.asarray(weight_TT @ path_T2 / weight_TT.sum(axis=1, keepdims=True))


def target_size(size: tuple[int, int], mode: str, load_size: int, drawn: int | None = None) -> tuple[int, int]:
    """(width, height) that the original resizes pictures of ``size`` (width, height) to.

    ``mode`` is its ``resize_or_crop``, ``load_size`` its ``loadSize``; ``drawn`` is the side that a "randomScale..."
    mode names. Sides are rounded to multiples of 4, then of 32, ties to the even multiple, so a side of 16 becomes 0.
    """
    w, h = size
    if "resize" in mode:
        return load_size, load_size
    if "scaleWidth" in mode:
        w, h = load_size, load_size * h // w
    elif "scaleHeight" in mode:
        w, h = load_size * w // h, load_size
    elif "randomScaleWidth" in mode:
        w, h = _given(drawn, mode), _given(drawn, mode) * h // w
    elif "randomScaleHeight" in mode:
        w, h = _given(drawn, mode) * w // h, _given(drawn, mode)
    w, h = _rounded(w, STEP), _rounded(h, STEP)
    if "crop" in mode or "scaledCrop" in mode:
        return w, h
    return _rounded(w, COARSE_STEP), _rounded(h, COARSE_STEP)


def _given(drawn: int | None, mode: str) -> int:
    if drawn is None:
        raise ValueError(f"mode {mode} draws the side that it names at random: give it as `drawn`")
    return drawn


def _rounded(x: int, step: int) -> int:
    return step * round(x / step)
