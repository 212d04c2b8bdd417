"""Refuses pictures that do not hold exactly what was stored: lossy ones, and kinds that readers show differently."""

import numpy as np
from PIL import Image

_LOSSY = ("JPEG", "MPO", "JPEG2000")
# Of TIFFs, by Pillow's names; JPEG, WebP and SGI's logarithms lose ids, and what is not here is not known to keep them.
_KEEPS = frozenset(
    ("raw", "tiff_raw_16", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "lzma", "zstd")
    + ("tiff_ccitt", "group3", "group4")
)
_ORIENTATION, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 274, 258, 262, 339  # tags
_SHOWN = (1, 2, 3)  # black is zero, RGB, palette
_FIVE_BITS = {"BGR;15", "BGR;16", "BGRA;15", "BGRA;15Z", "BGR;5"}
_READ_AS = {"1": 1, "L": 8}  # bits that Pillow takes for granted where a BMP's palette is grey
_OS2_HEADER, _DEPTH = 12, 32997  # bytes; a tag: slices of a volume
STORE = "store label maps as PNG"


def check_lossless(image: Image.Image, data: bytes) -> None:
    """Raises ValueError for a picture that is lossy, one of several in its file, turned, or of another meaning."""
    if image.format in _LOSSY or (image.format == "WEBP" and not _is_lossless_webp(data)):
        raise ValueError(f"{image.format} is lossy and changes ids; {STORE}")
    if image.format == "TIFF":
        _check_tiff(image)
    if (pages := getattr(image, "n_frames", 1)) > 1:
        raise ValueError(
            f"{image.format} of {pages} pictures, of which one would be used; store one label map per file"
        )
    if image.format == "BMP" and image.mode in _READ_AS and (bits := _bmp_bits(data)) != _READ_AS[image.mode]:
        raise ValueError(f"{bits}-bit BMP with a palette of few greys, which readers take for another depth; {STORE}")
    if image.format == "GIF" and any(tile[1] != (0, 0, *image.size) for tile in getattr(image, "tile", [])):
        raise ValueError(f"GIF whose picture covers only part of its {image.width}x{image.height} pixels; {STORE}")
    if image.format in ("BMP", "TGA") and _raw_modes(image) & _FIVE_BITS:
        raise ValueError(f"16-bit {image.format} with 5 bits per channel, which changes ids; {STORE}")
    if "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1:
        raise ValueError(f"{image.format} that is to be turned (EXIF orientation); turn it and leave EXIF out")


def _check_tiff(image: Image.Image) -> None:
    compression = str(image.info.get("compression"))
    if compression not in _KEEPS:
        raise ValueError(f"TIFF with {compression} compression, which is lossy and changes ids; {STORE}")
    tags = image.tag_v2  # type: ignore[attr-defined]  # of TIFFs only
    if (shown := tags.get(_PHOTOMETRIC, 1)) not in _SHOWN:
        kind = "white is zero" if shown == 0 else f"photometric interpretation {shown}"
        raise ValueError(f"TIFF in which {kind}, which readers show differently; {STORE}")
    if any(kind not in (1, 2) for kind in tags.get(_SAMPLE_FORMAT, (1,))):
        raise ValueError(f"{image.mode} TIFF of floating-point numbers; ids are whole numbers: {STORE}")
    bits = tags.get(_BITS, (1,))
    signed = tags.get(_SAMPLE_FORMAT, (1,))[0] == 2
    if signed and bits[0] == 8 and bool((np.asarray(image) > 127).any()):
        raise ValueError(f"TIFF of signed 8-bit numbers below 0; {STORE}")
    if len(bits) > 1 and max(bits) > 8:
        raise ValueError(f"TIFF with {len(bits)} channels of {max(bits)} bits; store label maps with one channel")
    if (slices := tags.get(_DEPTH, 1)) != 1:
        raise ValueError(f"TIFF of {slices} slices, of which one would be used; store one label map per file")
    if tags.get(_ORIENTATION, 1) != 1:
        raise ValueError(f"TIFF that is to be turned (orientation {tags[_ORIENTATION]}); {STORE}")


def _bmp_bits(data: bytes) -> int:
    """Gives the bits of a pixel, which the header holds at another place in files of OS/2."""
    at = 24 if int.from_bytes(data[14:18], "little") == _OS2_HEADER else 28
    return int.from_bytes(data[at : at + 2], "little")


def _raw_modes(image: Image.Image) -> set[str]:
    """Gives Pillow's names of how the parts of a picture are stored."""
    args = [tile[3] for tile in getattr(image, "tile", [])]
    return {str(one[0] if isinstance(one, tuple) and one else one) for one in args}


def _is_lossless_webp(data: bytes) -> bool:
    """Tells whether a WebP's pixels are in a lossless chunk. Chunks follow a header of 12 bytes."""
    at, kinds = 12, set[bytes]()
    while at + 8 <= len(data):
        kinds.add(data[at : at + 4])
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return b"VP8L" in kinds and b"VP8 " not in kinds
