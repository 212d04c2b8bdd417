"""Quality of rendered frames, and the gates that reject clips."""

import numpy as np
from numpy.typing import NDArray

from pipeline.optical_flow import dis_flow, sampled
from schemas.spec import QualitySpec


def warp_errors(image_THW3: NDArray[np.uint8], along_THW3: NDArray[np.uint8] | None = None) -> list[float | None]:
    """How far each frame is from its predecessor moved along the optical flow, 0 (same) to 1; None for the first frame.

    Mean absolute difference over channels where forward and backward flow agree, as in Lai et al., ECCV 2018, eq. 7;
    of all pixels where they agree nowhere, so that noise is not taken for a frame without error.
    ``along_THW3``: the frames whose flow counts, by default the images themselves.
    """
    along_THW3 = image_THW3 if along_THW3 is None else along_THW3
    errors: list[float | None] = [None]
    for t in range(1, len(image_THW3)):
        back, seen = dis_flow(along_THW3[t], along_THW3[t - 1])
        moved = sampled(image_THW3[t - 1], back).astype(np.float32)
        difference = np.abs(moved - image_THW3[t].astype(np.float32)).mean(axis=-1) / 255
        errors.append(float(difference[seen if seen.any() else ...].mean()))
    return errors


def gate(errors: list[float | None], bounds: QualitySpec) -> str | None:
    """Why a clip must not be published, or None."""
    worst = max((e for e in errors if e is not None), default=0.0)
    if bounds.max_warp_error is not None and worst > bounds.max_warp_error:
        frame = errors.index(worst)
        return f"warp_error {worst:.4f} at frame {frame} above quality.max_warp_error {bounds.max_warp_error:g}"
    return None
