"""Pictures that readers take for others: of odd depths, only partly there, or one of several."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from flowreel.pipeline.id_maps import decode_ids


def bmp(bits: int, greys: list[int], rows: list[bytes], width: int, *, os2: bool = False) -> bytes:
    """Writes an indexed BMP with a palette of greys, as its format says; ``os2``: with the older header."""
    height, colours = len(rows), greys if not os2 else greys + [0] * (2**bits - len(greys))
    palette = b"".join(bytes([g, g, g] if os2 else [g, g, g, 0]) for g in colours)
    sizes = struct.pack("<IHHHH", 12, width, height, 1, bits)
    if not os2:
        sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, len(greys), 0)
    start = 14 + len(sizes) + len(palette)
    body = b"".join(row + bytes(-len(row) % 4) for row in reversed(rows))
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + sizes + palette + body


@pytest.mark.parametrize(
    "data",
    [
        bmp(8, [0, 255], [bytes(8) + bytes([1] * 8)] * 2, 16),  # Pillow reads its bytes as single bits
        bmp(4, list(range(16)), [bytes([0x12, 0x34])] * 2, 4),  # and these as grey values
        bmp(4, list(range(16)), [bytes([0x12, 0x34])] * 2, 4, os2=True),
    ],
    ids=["8 bits of two greys", "4 bits", "4 bits of OS/2"],
)
def test_a_bmp_of_another_depth_than_readers_think_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"[48]-bit BMP with a palette of few greys"):
        decode_ids(data)


def test_a_bmp_of_eight_bits_is_read() -> None:
    ids_HW = np.arange(32, dtype=np.uint8).reshape(2, 16)
    assert np.array_equal(decode_ids(bmp(8, list(range(256)), [row.tobytes() for row in ids_HW], 16)), ids_HW)


def test_a_gif_that_covers_part_of_its_pixels_is_refused() -> None:
    sink = io.BytesIO()
    Image.fromarray(np.full((4, 6), 7, np.uint8)).save(sink, "GIF")
    assert decode_ids(sink.getvalue()).tolist() == [[7] * 6] * 4
    larger = bytearray(sink.getvalue())
    larger[6:10] = struct.pack("<HH", 8, 4)  # the screen's size
    with pytest.raises(ValueError, match="GIF whose picture covers only part of its 8x4 pixels"):
        decode_ids(bytes(larger))


def test_slices_of_a_tiff_do_not_vanish() -> None:
    sink = io.BytesIO()
    tifffile.imwrite(sink, np.zeros((2, 16, 16), np.uint8), photometric="minisblack", volumetric=True, tile=(2, 16, 16))
    with pytest.raises(ValueError, match="TIFF of 2 slices"):
        decode_ids(sink.getvalue())
