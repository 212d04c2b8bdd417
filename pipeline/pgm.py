"""Reads portable grey maps (PGM) as they are: Pillow scales those whose maximum is not 255 or 65535."""

import re

import numpy as np
from numpy.typing import NDArray

_SPACE = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(rb"P([25])" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,5})\s")


def is_pgm(data: bytes) -> bool:
    """Tells whether bytes begin like a portable grey map."""
    return data[:2] in (b"P2", b"P5")


def read_pgm(data: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Reads the numbers of a PGM, (H, W): uint8 up to a maximum of 255, else uint16.

    Raises ValueError for a broken or truncated file, or one of several pictures.
    """
    head = _HEADER.match(data)
    if head is None:
        raise ValueError("truncated or damaged PGM: its header needs width, height and maximum")
    width, height, top = (int(head[i]) for i in (2, 3, 4))
    if not width * height or not 0 < top < 65536:
        raise ValueError(f"damaged PGM: {width}x{height} pixels, maximum {top}")
    values = _plain(data[head.end() :]) if head[1] == b"2" else _raw(data[head.end() :], top)
    if len(values) < width * height:
        raise ValueError(f"truncated PGM: {len(values):,} of {width * height:,} pixels")
    if len(values) > width * height:
        raise ValueError(f"PGM with more than its {width * height:,} pixels; store one picture per file")
    if int(values.max()) > top:
        raise ValueError(f"damaged PGM: {int(values.max())} is above its maximum {top}")
    ids_HW = values.reshape(height, width)
    return ids_HW.astype(np.uint8) if top < 256 else ids_HW.astype(np.uint16)


def _raw(data: bytes, top: int) -> NDArray[np.integer]:
    kind = np.dtype(np.uint8 if top < 256 else ">u2")
    return np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind)


def _plain(data: bytes) -> NDArray[np.integer]:
    words = re.sub(rb"#[^\n]*", b"", data).split()
    if not all(word.isdigit() and len(word) < 6 for word in words):
        raise ValueError("damaged PGM: not all of it is numbers")
    return np.array([int(word) for word in words], np.int64)
