"""Quality of rendered frames, and the gates that reject clips."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.spec import QualitySpec


def warp_errors(image_THW3: NDArray[np.uint8], along_THW3: NDArray[np.uint8] | None = None) -> list[float | None]:
    """How far each frame is from its predecessor moved along the optical flow, 0 (same) to 1; None for the first frame.

    Mean absolute difference over channels where forward and backward flow agree (Sundaram et al., ECCV 2010), as in
    Lai et al., ECCV 2018, eq. 7, with OpenCV's DIS flow (Kroeger et al., ECCV 2016) at its MEDIUM preset.
    ``along_THW3``: the frames whose flow counts, by default the images themselves.
    """
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (image_THW3 if along_THW3 is None else along_THW3)]
    errors: list[float | None] = [None]
    for t in range(1, len(grey)):
        back = dis.calc(grey[t], grey[t - 1], np.zeros((*grey[t].shape, 2), np.float32))
        forth = _sampled(dis.calc(grey[t - 1], grey[t], np.zeros_like(back)), back)
        apart = ((back + forth) ** 2).sum(axis=-1)
        seen = apart < 0.01 * ((back**2).sum(axis=-1) + (forth**2).sum(axis=-1)) + 0.5
        moved = _sampled(image_THW3[t - 1], back).astype(np.float32)
        difference = np.abs(moved - image_THW3[t].astype(np.float32)).mean(axis=-1) / 255
        errors.append(float(difference[seen].mean()) if seen.any() else None)
    return errors


def gate(errors: list[float | None], bounds: QualitySpec) -> str | None:
    """Why a clip must not be published, or None."""
    worst = max((e for e in errors if e is not None), default=0.0)
    if bounds.max_warp_error is not None and worst > bounds.max_warp_error:
        frame = errors.index(worst)
        return f"warp_error {worst:.4f} at frame {frame} above quality.max_warp_error {bounds.max_warp_error:g}"
    return None


def _sampled(image_HWC: Any, flow_HW2: Any) -> Any:
    """``image`` at (x + u, y + v)."""
    h, w = flow_HW2.shape[:2]
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    return cv2.remap(
        image_HWC, x + flow_HW2[..., 0], y + flow_HW2[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
