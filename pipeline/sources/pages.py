"""Refuses files that hold several pictures, of which readers show the first."""

import io

from PIL import Image

_PNG, _TIFFS = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SUBFILE = 254  # TIFF's tag of what a page is
_REDUCED_OR_MASK = 0b101


def check_one_page(data: bytes) -> None:
    """Raises ValueError for a TIFF, GIF, APNG or WebP of more than one page, as all but the first would vanish.

    Smaller copies of a page (a GeoTIFF's overviews) and its masks do not count. Damaged files pass: decoding tells.
    """
    count = _png_pages(data) if data.startswith(_PNG) else _pages(data)
    if count > 1:
        raise ValueError(
            f"holds {count} pages, of which only the first would be used; save each as a file of its own, as one frame"
            " of the sequence"
        )


def _png_pages(data: bytes) -> int:
    """Counts the pictures of an APNG: its acTL chunk stands before the pixels."""
    at = data.find(b"acTL", 0, max(0, data.find(b"IDAT")))
    return int.from_bytes(data[at + 4 : at + 8]) if at > 0 else 1


def _pages(data: bytes) -> int:
    if not (data.startswith((b"GIF8", *_TIFFS)) or data[8:12] == b"WEBP"):
        return 1
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF", "GIF", "WEBP")) as image:
            count = getattr(image, "n_frames", 1)
            if image.format != "TIFF" or count == 1:
                return int(count)
            whole = 0
            for page in range(count):
                image.seek(page)
                whole += not int(image.tag_v2.get(_SUBFILE, 0)) & _REDUCED_OR_MASK  # type: ignore[attr-defined]
            return whole
    except Exception:  # Pillow's many kinds of damage: decoding names them
        return 1
