"""Frames of videos as files: PNGs whose bytes follow from their pixels alone, whatever libraries are installed."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_KINDS = {1: _GREY, 2: _GREY_ALPHA, 3: _RGB, 4: _RGBA}
_BLOCK = 65_535  # bytes of a stored block


def stored_png(pixels: NDArray[np.uint8] | NDArray[np.uint16], palette: NDArray[np.uint8] | None = None) -> bytes:
    """Writes pixels, uint8 or uint16 (H, W) or (H, W, channels), as an uncompressed PNG.

    Compressed ones differ from one release of zlib to the next, and with them fingerprints and ids of clips would.
    ``palette``: uint8 (colours, 3), for pixels that are its indices.
    """
    height, width = pixels.shape[:2]
    kind = _PALETTE if palette is not None else _KINDS[1 if pixels.ndim == 2 else pixels.shape[2]]
    lines = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1).tobytes()  # filter 0 before each line
    parts = [b"\x78\x01"]
    for start in range(0, len(raw), _BLOCK):
        block = raw[start : start + _BLOCK]
        last = start + _BLOCK >= len(raw)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack(">I", zlib.adler32(raw)))
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, kind, 0, 0, 0)
    colours = _chunk(b"PLTE", palette.tobytes()) if palette is not None else b""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + colours + _chunk(b"IDAT", b"".join(parts)) + _chunk(b"IEND")


def _chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
