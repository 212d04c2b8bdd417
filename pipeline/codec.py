"""Encodes and decodes pixels: lossless label and instance PNGs, images, KITTI flow."""

import io
from functools import lru_cache
from tokenize import TokenError
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.id_maps import decode_ids as decode_ids
from flowreel.pipeline.image_files import opened

ImageCodec = Literal["jpeg", "png", "webp"]
ENDING = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}
# NumPy's, for headers that promise too much.
_BAD_ARRAY = (ValueError, OSError, EOFError, MemoryError, OverflowError, SyntaxError, TokenError)
_NUMPY = b"\x93NUMPY"


def kind_of(data: bytes) -> str:
    """Gives the file name ending of a published medium by its first bytes. Raises ValueError for any other content."""
    if data.startswith(b"\xff\xd8\xff"):
        return ENDING["jpeg"]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ENDING["png"]
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ENDING["webp"]
    raise ValueError(f"neither JPEG, PNG nor WebP: {len(data)} bytes that start with {data[:8]!r}")


def encode_ids(ids_HW: NDArray[np.integer]) -> bytes:
    """Encodes ids (H, W) as a lossless PNG, 8 or 16 bits by the array's type.

    Decodes its own result and compares, as a wrong label is worse than a slow one: raises ValueError if they differ.
    """
    data = _encode(".png", ids_HW, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if back is None or back.dtype != ids_HW.dtype or not np.array_equal(back, ids_HW):
        raise ValueError(f"PNG does not give back the {ids_HW.dtype} map of shape {ids_HW.shape}")
    return data


def encode_image(rgb_HW3: NDArray[np.uint8], codec: ImageCodec, quality: int) -> bytes:
    """Encodes an RGB image, uint8 (H, W, 3), as JPEG, WebP (``quality`` 1..100) or PNG."""
    options = {
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        "png": [cv2.IMWRITE_PNG_COMPRESSION, 4],
    }[codec]
    return _encode(ENDING[codec], rgb_HW3[..., ::-1], options)


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decodes an RGB image, uint8 (H, W, 3). Raises ValueError for bytes that are not a complete image.

    Arrays of numbers (.npy, 16-bit and float TIFF) are refused: nothing in them says which range is black to white.
    """
    if data.startswith(_NUMPY):
        try:
            values = np.load(io.BytesIO(data), allow_pickle=False)
        except _BAD_ARRAY as error:
            raise ValueError(f"damaged NumPy array: {error}") from None
        raise ValueError(_numbers("NumPy array", values))
    with opened(data) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(_numbers(f"{image.mode} image", np.asarray(image)))
        return np.asarray(image.convert("RGB"))


def _numbers(kind: str, values: NDArray[np.number]) -> str:
    """Says in words why an array of numbers is not an image."""
    bad = int(values.size - np.isfinite(values).sum())
    found = f", {bad} of {values.size} values NaN or infinite" if bad else ""
    return f"{kind} of {values.dtype}{found}; 8 bits per channel are needed: store frames as PNG or JPEG"


def encode_flow(flow_HW2: NDArray[np.float32], sure_HW: NDArray[np.bool_] | None = None) -> bytes:
    """Encodes flow in pixels (x, y) as KITTI's 16-bit PNG: 64 x value + 32768 in R and G, valid in B; beyond +-511
    invalid.

    ``sure_HW``: where it is known; elsewhere it is marked invalid too, but its values are kept.
    """
    # Channel by channel: a reduction over an axis of two takes NumPy ten times as long.
    within = np.maximum(np.abs(flow_HW2[..., 0]), np.abs(flow_HW2[..., 1])) < 511  # False for NaN too
    scaled = np.rint(flow_HW2 * np.float32(64) + np.float32(32768))
    scaled[~within] = 32768
    bgr = np.empty((*within.shape, 3), np.uint16)
    bgr[..., 0] = within if sure_HW is None else within & sure_HW
    bgr[..., 1], bgr[..., 2] = scaled[..., 1], scaled[..., 0]
    # A generator's subpixels repeat nowhere, and to look for repetitions takes twice the time; known motion does.
    by_chance, known = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE], [cv2.IMWRITE_PNG_COMPRESSION, 4]
    return _encode(".png", bgr, by_chance if sure_HW is None else known)


def decode_flow(data: bytes) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Decodes flow (H, W, 2) in pixels (x, y), and where it is valid (H, W). Raises ValueError for what is no KITTI
    flow."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if bgr is None or bgr.dtype != np.uint16 or bgr.ndim != 3:
        raise ValueError("no KITTI flow: a 16-bit PNG with three channels is needed")
    flow = (bgr[..., :0:-1].astype(np.float32) - 32768.0) / 64.0
    return flow, bgr[..., 0] > 0


def resize_ids(ids_HW: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.integer]:
    """Resizes ids (H, W) to ``size`` (width, height): nearest neighbour by Pillow's rule, in the same depth."""
    if ids_HW.shape == (size[1], size[0]):
        return ids_HW
    row_h, column_w = (_nearest(*sides) for sides in zip(ids_HW.shape, size[::-1], strict=True))
    return ids_HW[row_h[:, None], column_w]  # no copy of the whole map, which may be large


@lru_cache(maxsize=64)
def _nearest(side: int, wanted: int) -> NDArray[np.int32]:
    """Gives which of ``side`` pixels Pillow takes for each of the ``wanted`` ones."""
    places = Image.fromarray(np.arange(side, dtype=np.int32)[None])
    return np.asarray(places.resize((wanted, 1), Image.Resampling.NEAREST))[0]


def resize_image(rgb_HW3: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resizes an image (H, W, 3) to ``size`` (width, height): bicubic with antialiasing, as vid2vid does for real
    images."""
    if rgb_HW3.shape[:2] == (size[1], size[0]):
        return rgb_HW3
    return np.asarray(Image.fromarray(rgb_HW3).resize(size, Image.Resampling.BICUBIC))


def _encode(ending: str, pixels: NDArray[np.generic], options: list[int]) -> bytes:
    done, data = cv2.imencode(ending, np.ascontiguousarray(pixels), options)
    if not done:
        raise ValueError(f"OpenCV could not encode {pixels.dtype} {pixels.shape} as {ending}")
    return bytes(data)


def thumbnail(image_THW3: NDArray[np.uint8], width: int = 160) -> bytes:
    """Shows a clip's first, middle and last frame side by side in a small JPEG, ``width`` pixels a frame."""
    height = max(1, round(image_THW3.shape[1] * width / image_THW3.shape[2]))
    moments = (image_THW3[t] for t in (0, len(image_THW3) // 2, -1))
    small = [np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)) for frame in moments]
    return encode_image(np.concatenate(small, axis=1).astype(np.uint8), "jpeg", 75)
