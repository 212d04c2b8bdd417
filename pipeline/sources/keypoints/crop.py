"""Crops of pictures of people: pictures, maps and points of one frame are cropped alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.sources.keypoints.landmarks import Box

COLUMNS = 32  # half the width of the middle is a multiple of it
MARGIN = 1.3  # of what a body takes up around the middle of the crop that follows it
STEP, COARSE_STEP = 4, 32  # pixels: sides are rounded to multiples of the one, then, without a crop, of the other
Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class Crop:
    """A box of the picture, resized, and a range of columns of the result."""

    box: Box  # pixels of the picture
    scaled: Size
    columns: tuple[int, int]  # first, and the one after the last, of what is resized

    @property
    def size(self) -> Size:
        """Gives width and height of the result."""
        return self.columns[1] - self.columns[0], self.scaled[1]

    def nearest(self, pixels: NDArray[np.integer]) -> NDArray[np.integer]:
        """Crops ids (H, W) or a picture (H, W, 3) to ``size`` by nearest neighbour (Pillow's rule)."""
        kind = pixels.dtype
        wide = pixels.astype(np.int32) if kind == np.uint16 else pixels  # Pillow resizes no 16-bit images
        return np.asarray(self._resized(wide, Image.Resampling.NEAREST)).astype(kind)

    def smooth(self, image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crops a real image to ``size``: bicubic with antialiasing."""
        return self._resized(image_HW3, Image.Resampling.BICUBIC)

    def points(self, point_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Maps points (x, y) of the picture, (N, 2), to the crop."""
        x0, y0, x1, y1 = self.box
        scale = np.array([self.scaled[0] / (x1 - x0), self.scaled[1] / (y1 - y0)])
        return np.asarray((point_N2 - (x0, y0)) * scale - (self.columns[0], 0))

    def holds(self, point_N2: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tells whether points, as `points` gives them, lie in the crop."""
        return np.asarray(((point_N2 >= 0) & (point_N2 < self.size)).all(axis=-1))

    def _resized(self, pixels: NDArray[np.integer], filter: Image.Resampling) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = self.box
        boxed = Image.fromarray(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
        return np.asarray(boxed.resize(self.scaled, filter))[:, slice(*self.columns)]


def whole_crop(own: Size, size: Size) -> Crop:
    """Gives all of a picture of size ``own``, at ``size``."""
    return box_crop((0, 0, *own), size)


def box_crop(box: Box, size: Size) -> Crop:
    """Gives a box of a picture, at ``size``."""
    return Crop(box, size, (0, size[0]))


def central_crop(own: Size, scaled: Size) -> Crop:
    """Gives the middle columns of a picture of size ``own`` resized to ``scaled`` (vid2vid-spec, section 4.3)."""
    columns = central_columns(scaled[0])
    return Crop((0, 0, *own), scaled, (columns.start, columns.stop))


def central_size(own: Size, height: int) -> Size:
    """Gives the size to which the original resizes pictures of size ``own`` before it crops the middle at about this
    height."""
    return target_size(own, "scaleHeight", height)


def central_columns(width: int) -> slice:
    """Gives the columns that are kept of conditioning and real pictures: about the middle half, a multiple of 64 wide.

    Raises ValueError for a width below 128.
    """
    half = width // 4 // COLUMNS * COLUMNS
    if not half:
        raise ValueError(f"{width} pixels are too narrow for a pose, which keeps the middle half: at least 128 needed")
    return slice(width // 2 - half, width // 2 + half)


def following_crops(body_T4: Sequence[NDArray[np.float64]], own: Size, size: Size, steady: float) -> list[Crop]:
    """Gives crops of one size and of the shape of ``size`` that follow a body and stay in the picture.

    ``body_T4``: its box (x0, y0, x1, y1) in each frame, NaN where it is out of sight. The path is smoothed over about
    ``steady`` frames. Raises ValueError if nobody is in sight in any frame.
    """
    box_T4 = _filled(np.asarray(body_T4, np.float64))
    middle_T2 = _smoothed((box_T4[:, :2] + box_T4[:, 2:]) / 2, steady)
    reach_T2 = np.maximum(middle_T2 - box_T4[:, :2], box_T4[:, 2:] - middle_T2)  # an arm may swing out of the middle
    wanted = 2 * MARGIN * reach_T2.max(axis=0)
    scale = max(wanted[0] / size[0], wanted[1] / size[1], 1 / min(size))
    scale = min(scale, own[0] / size[0], own[1] / size[1])
    crop_size = np.maximum(1, np.floor(scale * np.array(size))).astype(int)
    corner_T2 = np.rint(middle_T2 - crop_size / 2).astype(int).clip(0, np.array(own) - crop_size)
    return [box_crop((int(x), int(y), int(x + crop_size[0]), int(y + crop_size[1])), size) for x, y in corner_T2]


def _filled(box_T4: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolates boxes between the body's last place and its next where it is out of sight."""
    seen = np.flatnonzero(np.isfinite(box_T4).all(axis=1))
    if not len(seen):
        raise ValueError("nobody is in sight in any frame: there is nothing to follow")
    return np.stack([np.interp(np.arange(len(box_T4)), seen, box_T4[seen, k]) for k in range(4)], axis=1)


def _smoothed(path_T2: NDArray[np.float64], steady: float) -> NDArray[np.float64]:
    """Averages over time with Gaussian weights; a path that stands still stays where it is."""
    distance_TT = np.arange(len(path_T2))[:, None] - np.arange(len(path_T2))
    weight_TT = np.exp(-0.5 * (distance_TT / max(steady, 1e-6)) ** 2)
    return np.asarray(weight_TT @ path_T2 / weight_TT.sum(axis=1, keepdims=True))


def target_size(size: tuple[int, int], mode: str, load_size: int, sampled: int | None = None) -> tuple[int, int]:
    """Gives the (width, height) to which the original resizes pictures of ``size`` (width, height).

    ``mode`` is its ``resize_or_crop``, ``load_size`` its ``loadSize``; ``sampled`` is the side that a "randomScale..."
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
        w, h = _given(sampled, mode), _given(sampled, mode) * h // w
    elif "randomScaleHeight" in mode:
        w, h = _given(sampled, mode) * w // h, _given(sampled, mode)
    w, h = _rounded(w, STEP), _rounded(h, STEP)
    if "crop" in mode or "scaledCrop" in mode:
        return w, h
    return _rounded(w, COARSE_STEP), _rounded(h, COARSE_STEP)


def _given(sampled: int | None, mode: str) -> int:
    if sampled is None:
        raise ValueError(f"mode {mode} samples the side that it names: give it as `sampled`")
    return sampled


def _rounded(x: int, step: int) -> int:
    return step * round(x / step)
