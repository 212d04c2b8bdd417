"""Videos of the same labels beside each other, with captions: as frames of one video, and as a contact sheet."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Rgb = NDArray[np.uint8]
PAPER, INK = (250, 250, 250), (40, 40, 40)
CAPTION, MARGIN = 18, 4  # pixels
PER_ROW = 3  # panels


def frames(panels: Mapping[str, Rgb]) -> Iterator[Rgb]:
    """Yields frames (rows * (H + CAPTION), columns * W, 3) of panels (T, H, W, 3), all of one shape, by caption.

    Their sides are even if H and W are, as H.264 asks for.
    """
    names, videos = list(panels), list(panels.values())
    length, height, width = videos[0].shape[:3]
    columns = min(PER_ROW, len(names))
    rows = -(-len(names) // columns)
    paper = Image.new("RGB", (columns * width, rows * (height + CAPTION)), PAPER)
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(12)
    corners = [((i // columns) * (height + CAPTION), (i % columns) * width) for i in range(len(names))]
    for name, (top, left) in zip(names, corners, strict=True):
        draw.text((left + MARGIN, top + 2), name, INK, font)
    page = np.asarray(paper)
    for t in range(length):
        frame = page.copy()
        for video, (top, left) in zip(videos, corners, strict=True):
            frame[top + CAPTION : top + CAPTION + height, left : left + width] = video[t]
        yield frame


def contact_sheet(panels: Mapping[str, Rgb], columns: int = 5) -> Image.Image:
    """Draws one row per panel, at ``columns`` moments from the first frame to the last."""
    length, height, width = next(iter(panels.values())).shape[:3]
    block = CAPTION + height + MARGIN
    sheet = Image.new("RGB", (columns * (width + MARGIN), len(panels) * block), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    moments = np.linspace(0, length - 1, columns).round().astype(int)
    for row, (name, video) in enumerate(panels.items()):
        for column, t in enumerate(moments):
            left = column * (width + MARGIN)
            draw.text((left + MARGIN, row * block + 2), f"{name}, frame {t}", INK, font)
            sheet.paste(Image.fromarray(video[t]), (left, row * block + CAPTION))
    return sheet
