"""All measures of a clip: the columns of `flowreel.schemas.manifest.QUALITY`."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.quality.frame_stats import drift, frame_stats
from flowreel.pipeline.quality.label_edges import frozen, label_edges
from flowreel.pipeline.quality.motion import motion
from flowreel.pipeline.quality.perceptual_hash import phash

Rgb = NDArray[np.uint8]
Ids = NDArray[np.integer]
Agreement = Callable[[Rgb, Ids], list[float | None]]  # (T, H, W, 3), (T, H, W) -> per frame
Columns = dict[str, list[float | None]]  # per column, a value per frame; None where it cannot be measured


def measure(image_THW3: Rgb, label_THW: Ids, fps: float, agreement: Agreement | None = None) -> Columns:
    """Measures a clip's published frames and their labels. ``agreement``: a segmenter's, where there is one."""
    moving = motion(image_THW3)
    stats = [frame_stats(frame) for frame in image_THW3]
    pairs = zip(image_THW3, label_THW, strict=True)
    return {
        "warp_error": moving.warp_error,
        "label_agreement": agreement(image_THW3, label_THW) if agreement else [None] * len(image_THW3),
        "flicker": moving.flicker,
        "drift": list(drift(image_THW3, second=max(1, round(fps)))),
        "sharpness": [frame.sharpness for frame in stats],
        "contrast": [frame.contrast for frame in stats],
        "saturation": [frame.saturation for frame in stats],
        "label_edges": [label_edges(image, label) for image, label in pairs],
        "frozen": frozen(image_THW3, label_THW),
        "phash": [phash(frame) for frame in image_THW3],
    }
