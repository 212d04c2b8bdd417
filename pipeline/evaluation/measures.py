"""Videos in numbers, against the real ones of the same labels. All functions take 8-bit RGB frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.evaluation.agreement import agreement
from flowreel.pipeline.quality import warp_errors
from flowreel.pipeline.quality.segmenter_network import Segmenter
from flowreel.schemas.errors import UsageError

Video = NDArray[np.uint8]  # (T, H, W, 3)
LEVELS = 255


@dataclass(frozen=True)
class FrameStatistics:
    """Holds means over frames, in 8-bit levels."""

    color: tuple[float, float, float]  # mean R, G, B
    contrast: float  # standard deviation of grey
    sharpness: float  # mean absolute Laplacian of grey: blur lowers it, grain raises it
    gradient: float  # mean length of grey's gradient per pixel


@dataclass(frozen=True)
class Measures:
    """Holds what one method's videos come to, over all frames."""

    warp_error: float  # along the videos' own flow, 0 to 1
    warp_error_real_flow: float  # along the real frames' flow: what moves otherwise than it should counts too
    misalignment: float  # warp error over the mean gradient, in pixels: what blur alone does not lower
    sharpness: float
    grid: float  # power of grey at the pixel grid's own frequency: what a mesh over the picture raises first
    pixel_accuracy: float
    mean_iou: float
    iou: dict[int, float]  # by label id
    l1: float  # mean absolute difference to the real frames, 0 to 1


@dataclass(frozen=True)
class Drift:
    """Tells how far a video's last second is from its first, beyond what the real video does. 0, 1, 1, 1: no drift."""

    color: float  # levels, of the channel that moves most
    contrast: float  # ratio
    sharpness: float  # ratio
    warp_error: float  # ratio


def frame_statistics(video_THW3: Video) -> FrameStatistics:
    """Gives the means over all frames."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in video_THW3]
    slopes = [np.hypot(*np.gradient(g)).mean() for g in grey]
    red, green, blue = video_THW3.mean(axis=(0, 1, 2)).tolist()
    return FrameStatistics(
        (red, green, blue),
        float(np.mean([g.std() for g in grey])),
        float(np.mean([np.abs(cv2.Laplacian(g, cv2.CV_32F)).mean() for g in grey])),
        float(np.mean(slopes)),
    )


def grid_power(video_THW3: Video) -> float:
    """Gives the mean power of grey, in squared levels, where it alternates from pixel to pixel along an axis.

    Decoders that double the size leave a mesh there, which sharpness takes for detail.
    """
    height, width = video_THW3.shape[1:3]
    window_HW = np.outer(np.hanning(height), np.hanning(width))
    found = []
    for frame_HW3 in video_THW3:
        grey_HW = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY).astype(np.float64)
        power_HW = np.abs(np.fft.fft2((grey_HW - grey_HW.mean()) * window_HW)) ** 2 / (window_HW**2).sum()
        found.append((power_HW[height // 2].mean() + power_HW[:, width // 2].mean()) / 2)
    return float(np.mean(found))


def warp_error(videos: Sequence[Video], along: Sequence[Video]) -> float:
    """Gives the mean over all frames that have one before them, 0 to 1.

    Raises UsageError if there is no such frame, or nothing is visible in two frames in a row.
    """
    errors = [e for video, flow in zip(videos, along, strict=True) for e in warp_errors(video, flow) if e is not None]
    if not errors:
        raise UsageError("no two frames in a row show the same things: there is no warp error; give longer sequences")
    return float(np.mean(errors))


def l1(videos: Sequence[Video], real: Sequence[Video]) -> float:
    """Gives the mean absolute difference, 0 to 1."""
    pairs = zip(videos, real, strict=True)
    return float(np.mean([np.abs(v.astype(np.int16) - r).mean() for v, r in pairs]) / LEVELS)


def measure(
    videos: Sequence[Video], real: Sequence[Video], labels: Sequence[NDArray[np.integer]], segmenter: Segmenter
) -> Measures:
    """Measures ``videos`` of the same labels as the ``real`` ones, in the same order.

    Raises UsageError as `agreement` and `warp_error` do.
    """
    frames_NHW3 = np.concatenate(videos)
    found = agreement(segmenter, frames_NHW3, np.concatenate(labels))
    seen, own = frame_statistics(frames_NHW3), warp_error(videos, videos)
    return Measures(
        warp_error=own,
        warp_error_real_flow=warp_error(videos, real),
        misalignment=own * LEVELS / max(seen.gradient, 1e-6),
        sharpness=seen.sharpness,
        grid=grid_power(frames_NHW3),
        pixel_accuracy=found.accuracy,
        mean_iou=found.mean_iou,
        iou=found.iou,
        l1=l1(videos, real),
    )


def diversity(styles: Sequence[Video], last: int) -> tuple[float, float]:
    """Gives the mean absolute difference (0 to 1) between videos of the same labels in different styles: over all
    frames, and over the ``last`` ones, where a style that does not last is gone."""
    pairs = list(combinations(styles, 2))
    whole = np.mean([l1([a], [b]) for a, b in pairs])
    return float(whole), float(np.mean([l1([a[-last:]], [b[-last:]]) for a, b in pairs]))


def drift(video_THW3: Video, real_THW3: Video, second: int) -> Drift:
    """Compares a video's first and last second. ``second``: its length in frames; ``real_THW3``: the real video, which
    shows what changes with the scene."""
    begins = [frame_statistics(v[:second]) for v in (video_THW3, real_THW3)]
    ends = [frame_statistics(v[-second:]) for v in (video_THW3, real_THW3)]
    moved = [np.subtract(end.color, begin.color) for begin, end in zip(begins, ends, strict=True)]

    def ratio(name: str) -> float:
        own, real = (getattr(e, name) / max(getattr(b, name), 1e-6) for b, e in zip(begins, ends, strict=True))
        return float(own / max(real, 1e-6))

    first, last = (
        warp_error([video_THW3[part]], [video_THW3[part]]) / max(warp_error([real_THW3[part]], [real_THW3[part]]), 1e-6)
        for part in (slice(0, second), slice(-second, None))
    )
    color = float(np.abs(moved[0] - moved[1]).max())
    return Drift(color, ratio("contrast"), ratio("sharpness"), last / max(first, 1e-6))


def there_and_back(frames: int, length: int) -> list[int]:
    """Gives ``length`` indices that go 0 .. frames - 1 and back, again and again: as many real labels as one likes."""
    way = [*range(frames), *range(frames - 2, 0, -1)] or [0]
    return [way[i % len(way)] for i in range(length)]
