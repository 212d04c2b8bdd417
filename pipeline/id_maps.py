"""Reads id maps from image files. One rule for every format and mode: an id is the value that the picture shows, or the
file is refused and the message names its mode.

So an id does not depend on how a tool stored it: a grey map that became an indexed PNG, three equal channels or a PGM
of any maximum holds the same ids. What several readers show differently, and all that is lossy, is refused.
"""

from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.image_files import opened
from flowreel.pipeline.lossless import check_lossless
from flowreel.pipeline.pgm import is_pgm, read_pgm

Ids = NDArray[np.uint8] | NDArray[np.uint16]
AnyIds = TypeVar("AnyIds", NDArray[np.uint8], NDArray[np.uint16])
# Gives the ids (K,) of the K palette entries that a picture uses: their indices (K,) and RGB colours (K, 3), and the
# whole palette (N, 3). Raises ValueError where they have no single meaning.
Palette = Callable[[NDArray[np.integer], NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.integer]]
_ONE_CHANNEL = ("L", "I;16", "I;16B", "I", "1")
_CHANNELS = ("RGB", "RGBA", "RGBX", "LA")


class ColourPicture(ValueError):
    """Raised for a picture in colours where ids are needed. ``rgba_K4``: its distinct colours, uint8 or uint16."""

    def __init__(self, message: str, rgba_K4: NDArray[np.integer]) -> None:
        super().__init__(message)
        self.rgba_K4 = rgba_K4


def grey_values(
    index_K: NDArray[np.integer], rgb_K3: NDArray[np.uint8], palette_N3: NDArray[np.uint8]
) -> NDArray[np.integer]:
    """Gives the grey values that a palette shows. Raises ColourPicture if it shows colours."""
    if not is_grey(rgb_K3):
        raise ColourPicture("indexed picture whose palette shows colours, not grey values", _opaque(rgb_K3))
    return rgb_K3[:, 0]


def decode_ids(data: bytes, palette: Palette = grey_values) -> Ids:
    """Decodes a label or instance map, (H, W), in the depth it is stored with: uint8 or uint16.

    ``palette``: what the entries of an indexed picture mean. Raises ValueError, naming what was found, for bytes that
    are not a complete lossless map of ids.
    """
    if is_pgm(data):
        return read_pgm(data)
    with opened(data) as image:
        try:
            check_lossless(image, data)
        except ValueError as error:
            if image.mode not in _CHANNELS:
                raise
            raise ValueError(f"{error}; {_name(image, data)}, where one channel of ids is needed") from None
        if image.mode == "P":
            ids = _of_palette(image, palette)
        elif image.mode in _CHANNELS:
            ids = _of_channels(_rgba(image, data), _name(image, data))
        elif image.mode in _ONE_CHANNEL:
            ids = np.asarray(image)
            _check_shown(image, data, ids)
        else:
            raise ValueError(f"{_name(image, data)}, where one channel of ids is needed")
    if ids.dtype == np.bool_ or ids.dtype == np.uint8:
        return ids.astype(np.uint8)
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high > 65535:
        raise ValueError(f"ids {low}..{high} outside 0..65535")
    return ids.astype(np.uint16)


def decode_colours(data: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Decodes what a lossless picture shows, RGBA (H, W, 4), 8 or 16 bits a channel; opaque where it has no alpha.

    Raises ValueError for bytes that are not a complete lossless picture.
    """
    with opened(data) as image:
        check_lossless(image, data)
        if image.mode == "P":
            index_HW, rgba_N4 = np.asarray(image), _palette(image)
            _check_indices(index_HW, len(rgba_N4))
            return rgba_N4[index_HW]
        if image.mode not in (*_CHANNELS, *_ONE_CHANNEL) or image.mode == "I":
            raise ValueError(f"{_name(image, data)}, which shows no colours")
        return _rgba(image, data)


def is_grey(rgb_K3: NDArray[np.integer]) -> bool:
    """Tells whether all colours have equal channels."""
    return bool((rgb_K3[..., :1] == rgb_K3[..., 1:3]).all())


def distinct(rgba_HW4: NDArray[np.integer]) -> NDArray[np.integer]:
    """Gives the distinct colours (K, 4) of a picture."""
    wide_N = rgba_HW4.reshape(-1, 4).astype(np.uint64) @ (np.uint64(1) << np.array([48, 32, 16, 0], np.uint64))
    _, first_K = np.unique(wide_N, return_index=True)
    return rgba_HW4.reshape(-1, 4)[first_K]


def _of_palette(image: Image.Image, palette: Palette) -> NDArray[np.integer]:
    """Gives what the used entries of a palette mean."""
    index_HW, rgba_N4 = np.asarray(image), _palette(image)
    used_K = np.flatnonzero(np.bincount(index_HW.ravel(), minlength=1))
    _check_indices(used_K, len(rgba_N4))
    if (clear := rgba_N4[used_K, 3] < 255).any():
        raise ValueError(f"indexed picture in which index {used_K[clear][0]} is transparent, which shows no id")
    id_K = palette(used_K, rgba_N4[used_K, :3], rgba_N4[:, :3])
    table = np.zeros(int(used_K[-1]) + 1, np.uint16 if id_K.max() > 255 else np.uint8)
    table[used_K] = id_K
    return table[index_HW]


def _check_indices(index: NDArray[np.integer], entries: int) -> None:
    if index.size and int(index.max()) >= entries:
        raise ValueError(f"indexed picture that uses entry {int(index.max())} of a palette of {entries}")


def _palette(image: Image.Image) -> NDArray[np.uint8]:
    """Gives a palette's colours, RGBA (N, 4)."""
    rgb_N3 = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    rgba_N4 = _opaque(rgb_N3)
    clear = image.info.get("transparency")
    if isinstance(clear, bytes):
        rgba_N4[: len(clear), 3] = np.frombuffer(clear, np.uint8)[: len(rgba_N4)]
    elif clear is not None and clear < len(rgba_N4):
        rgba_N4[clear, 3] = 0
    return rgba_N4


def _opaque(rgb_N3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([rgb_N3, np.full((len(rgb_N3), 1), 255, np.uint8)], axis=1)


def _of_channels(rgba_HW4: NDArray[np.integer], name: str) -> NDArray[np.integer]:
    """Gives the grey values of a picture with equal channels."""
    top = np.iinfo(rgba_HW4.dtype).max
    if not is_grey(rgba_HW4):
        raise ColourPicture(f"{name}, where one channel of ids is needed", distinct(rgba_HW4))
    if (clear_HW := rgba_HW4[..., 3] < top).any():
        raise ValueError(f"{name} with {int(clear_HW.sum()):,} transparent pixels, which show no id")
    return rgba_HW4[..., 0]


def _rgba(image: Image.Image, data: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Gives a picture that has no palette as RGBA (H, W, 4). Raises ValueError for a depth that cannot be read."""
    clear, has_alpha = image.info.get("transparency"), image.mode in ("RGBA", "LA")
    if image.format == "PNG" and data[24] == 16 and image.mode in _CHANNELS:  # Pillow drops the lower eight bits
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if bgr is None or bgr.dtype != np.uint16 or bgr.ndim != 3 or clear is not None:
            raise ValueError(f"{_name(image, data)} that cannot be read; store label maps with one channel")
        return _with_alpha(bgr[..., 2::-1].astype(np.uint16), bgr[..., 3].astype(np.uint16) if has_alpha else None)
    pixels = np.asarray(image)
    if pixels.dtype.itemsize > 1:
        return _with_alpha(pixels.astype(np.uint16)[..., None], None, clear)
    shown = pixels.astype(np.uint8) * np.uint8(255 if pixels.dtype == np.bool_ else 1)
    wide = shown.reshape(*shown.shape[:2], -1)
    return _with_alpha(wide[..., :-1] if has_alpha else wide[..., :3], wide[..., -1] if has_alpha else None, clear)


def _with_alpha(shown_HWC: AnyIds, alpha_HW: AnyIds | None, clear: object = None) -> AnyIds:
    """Gives one or three channels as RGBA; ``clear``: the colour that is transparent, if one is."""
    out = np.full((*shown_HWC.shape[:2], 4), np.iinfo(shown_HWC.dtype).max, shown_HWC.dtype)
    out[..., :3] = shown_HWC
    if alpha_HW is not None:
        out[..., 3] = alpha_HW
    elif clear is not None:
        out[(shown_HWC == np.asarray(clear, np.int64)).all(axis=2), 3] = 0
    return out


def _check_shown(image: Image.Image, data: bytes, ids_HW: NDArray[np.generic]) -> None:
    """Raises ValueError for grey pictures that do not show their stored numbers, or not everywhere."""
    bits = _bits(image, data)
    if bits < 8 and ids_HW.any():
        shown, top = {1: "0 and 255", 2: "0, 85, 170 and 255"}.get(bits, "0, 17, ... 255"), 2**bits - 1
        raise ValueError(
            f"{bits}-bit grey {image.format}: its numbers 0 to {top} are shown as {shown}; store label maps with 8 or"
            " 16 bits"
        )
    clear = image.info.get("transparency")
    if clear is not None and (ids_HW == clear).any():
        raise ValueError(f"{_name(image, data)} in which {clear} is transparent, which shows no id")


def _bits(image: Image.Image, data: bytes) -> int:
    """Gives the bits of a grey sample as far as they are fewer than 8."""
    if image.mode == "1":
        return 1
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return int(image.tag_v2.get(258, (8,))[0])  # type: ignore[attr-defined]  # of TIFFs only
    return 8


def _name(image: Image.Image, data: bytes) -> str:
    """Names a picture's mode as people know it."""
    channels, kind = len(image.getbands()), image.mode
    deep = "16-bit " if image.format == "PNG" and data[24] == 16 else ""
    return f"{deep}{kind} image with {channels} channels" if channels > 1 else f"{deep}{kind} image"
