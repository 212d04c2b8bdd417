"""Opens image files that come from anywhere: checked as a whole, few formats, never a decompression bomb."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from flowreel.pipeline.concurrency import ByteBudget

DECODING = ByteBudget(256 * 2**20)  # pictures that are being decoded, by all threads of a process
COPIES = 3  # of its pixels that Pillow and NumPy hold while one is decoded
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "LA": 2, "I;16": 2, "I;16B": 2, "RGB": 8}  # RGB: Pillow pads it
# Those beyond Pillow's bound are refused; of those below it that it warns of, one is decoded at a time.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Not all that Pillow knows: some formats run other programs, and the rarer ones are little tested.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "TGA", "JPEG2000")
_DAMAGE = (OSError, SyntaxError)  # Pillow raises SyntaxError for a broken PNG chunk
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@contextmanager
def decoding(data: bytes) -> Iterator[None]:
    """Waits until there is memory to decode a picture, and keeps it until the block ends: around what decodes where the
    pixels are used at once, and not kept. `opened` does it itself for as long as it is open."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            size = image.width * image.height * _PIXEL_BYTES.get(image.mode, 4) * COPIES
    except (*_DAMAGE, Image.DecompressionBombError, ValueError):  # which decoding will report
        size = 0
    with DECODING.hold(size):
        yield


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Opens an image whose checksums are right. Raises ValueError for whatever Pillow finds wrong, then or while
    decoding."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.verify()  # decoding does not look at checksums: a flipped bit must not become another id
        with decoding(data), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
    except Image.DecompressionBombError as error:  # by its header alone
        raise ValueError(f"refused without decoding: {error}") from None
    except UnidentifiedImageError:
        kind = "; a TIFF of a kind that is not read, such as 64 bits or float16" if data.startswith(_TIFF) else ""
        raise ValueError(f"no image: {len(data)} bytes that start with {data[:8]!r}{kind}") from None
    except _DAMAGE as error:
        raise ValueError(f"truncated or damaged image: {error}") from None
