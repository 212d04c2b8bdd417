"""Shows published clips side by side: panels of a clip's frames, and a sheet of several clips."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flowreel.pipeline.pictures import Rgb, color_flow, color_labels
from flowreel.pipeline.reader.dataset import ClipData
from flowreel.schemas.label_space import LabelSpace

_MARGIN, _TITLE = 4, 18  # pixels
_PAPER, _INK = (250, 250, 250), (40, 40, 40)


def panels(clip: ClipData, space: LabelSpace) -> list[Rgb]:
    """Draws per frame: label | render | flow (as far as published), side by side, (H, 3 W, 3)."""
    flow, most = clip.flow_THW2, 1.0
    if flow is not None:
        most = float(np.quantile(np.hypot(flow[..., 0], flow[..., 1]), 0.99)) or 1.0
    frames = []
    for t, image in enumerate(clip.image_THW3):
        parts = [color_labels(clip.label_THW[t], space), image]
        if flow is not None:
            parts.append(color_flow(flow[t], most))
        frames.append(np.concatenate(parts, axis=1))
    return frames


def contact_sheet(clips: Sequence[tuple[str, ClipData]], space: LabelSpace, columns: int = 5) -> Image.Image:
    """Draws per clip a title, its label maps and below them its renders, at ``columns`` moments from first to last."""
    height, width = clips[0][1].label_THW.shape[1:]
    block = _TITLE + 2 * (height + _MARGIN) + _MARGIN
    size = (columns * (width + _MARGIN) + _MARGIN, len(clips) * block + _MARGIN)
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (title, clip) in enumerate(clips):
        top = row * block + _MARGIN
        draw.text((_MARGIN, top), title, _INK, font)
        for column, t in enumerate(np.linspace(0, len(clip.label_THW) - 1, columns).round().astype(int)):
            left = _MARGIN + column * (width + _MARGIN)
            sheet.paste(Image.fromarray(color_labels(clip.label_THW[t], space)), (left, top + _TITLE))
            sheet.paste(Image.fromarray(clip.image_THW3[t]), (left, top + _TITLE + height + _MARGIN))
    return sheet
