"""Pictures of maps and frames for people to look at: coloured labels, flow as colour, H.264 video."""

import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from flowreel.schemas.label_space import LabelSpace

Rgb = NDArray[np.uint8]


def color_labels(label_HW: NDArray[np.integer], space: LabelSpace) -> Rgb:
    """Paints labels in the colours of their space, (H, W, 3); ids outside it are black."""
    table = np.zeros((65536, 3), np.uint8)
    for c in space.classes:
        table[c.id] = c.color
    return table[label_HW]


def color_flow(flow_HW2: NDArray[np.float32], most: float) -> Rgb:
    """Paints flow (H, W, 2) as colour: hue is the direction, strength the length in pixels up to ``most``; still is
    white."""
    angle = np.arctan2(flow_HW2[..., 1], flow_HW2[..., 0])
    length = np.clip(np.hypot(flow_HW2[..., 0], flow_HW2[..., 1]) / max(most, 1e-6), 0, 1)
    hsv = np.dstack([(angle + np.pi) / (2 * np.pi) * 179, length * 255, np.full_like(length, 255)])
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def h264(frames: Iterable[Rgb], fps: float, crf: int = 18, preset: str = "medium") -> bytes:
    """Encodes an MP4 that browsers play: H.264, yuv420p, index first. Frames are uint8 (H, W, 3), all of one size.

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
