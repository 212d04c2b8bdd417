"""Opens image files that come from anywhere: checked as a whole, few formats, never a decompression bomb."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

# Not all that Pillow knows: some formats run other programs, and the rarer ones are little tested.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "TGA", "JPEG2000")
_DAMAGE = (OSError, SyntaxError)  # Pillow raises SyntaxError for a broken PNG chunk
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Opens an image whose checksums are right. Raises ValueError for whatever Pillow finds wrong, then or while
    decoding."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.verify()  # decoding does not look at checksums: a flipped bit must not become another id
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
    except Image.DecompressionBombError as error:  # by its header alone
        raise ValueError(f"refused without decoding: {error}") from None
    except UnidentifiedImageError:
        kind = "; a TIFF of a kind that is not read, such as 64 bits or float16" if data.startswith(_TIFF) else ""
        raise ValueError(f"no image: {len(data)} bytes that start with {data[:8]!r}{kind}") from None
    except _DAMAGE as error:
        raise ValueError(f"truncated or damaged image: {error}") from None
