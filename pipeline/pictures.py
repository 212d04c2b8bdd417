"""Published clips as people look at them: coloured labels, flow as colour, contact sheets, H.264 video."""

import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from flowreel.pipeline.reader import ClipData
from flowreel.schemas.label_space import LabelSpace

Rgb = NDArray[np.uint8]
_MARGIN, _TITLE = 4, 18  # pixels
_PAPER, _INK = (250, 250, 250), (40, 40, 40)


def color_labels(label_HW: NDArray[np.integer], space: LabelSpace) -> Rgb:
    """Labels in the colours of their space, (H, W, 3); ids outside it are black."""
    table = np.zeros((65536, 3), np.uint8)
    for c in space.classes:
        table[c.id] = c.color
    return table[label_HW]


def color_flow(flow_HW2: NDArray[np.float32], most: float) -> Rgb:
    """Flow as colour: hue is the direction, strength the length in pixels up to ``most``; still is white."""
    angle = np.arctan2(flow_HW2[..., 1], flow_HW2[..., 0])
    length = np.clip(np.hypot(flow_HW2[..., 0], flow_HW2[..., 1]) / max(most, 1e-6), 0, 1)
    hsv = np.dstack([(angle + np.pi) / (2 * np.pi) * 179, length * 255, np.full_like(length, 255)])
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def panels(clip: ClipData, space: LabelSpace) -> list[Rgb]:
    """Per frame: label | render | flow (as far as published), side by side, (H, 3 W, 3)."""
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
    """Per clip a title, its label maps and below them its renders, at ``columns`` moments from first to last."""
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


def h264(frames: Iterable[Rgb], fps: float, crf: int = 18, preset: str = "medium") -> bytes:
    """An MP4 that browsers play: H.264, yuv420p, index first. Frames are (H, W, 3), all of one size.

    ``crf``: x264's, 0 (best) to 51. ``preset``: x264's; how much time it takes to make the file smaller.
    """
    with tempfile.TemporaryDirectory() as folder:  # moving the index to the front needs a file
        file = Path(folder) / "video.mp4"
        _write_h264(frames, fps, {"crf": str(crf), "preset": preset}, file)
        return file.read_bytes()


def _write_h264(frames: Iterable[Rgb], fps: float, options: dict[str, str], file: Path) -> None:
    with av.open(str(file), "w", options={"movflags": "faststart"}) as container:
        stream = None
        for frame in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
                stream.height, stream.width = frame.shape[0] & ~1, frame.shape[1] & ~1
                stream.pix_fmt = "yuv420p"
                stream.options = {**options}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame[: stream.height, : stream.width].copy())))
        if stream is not None:
            container.mux(stream.encode())
