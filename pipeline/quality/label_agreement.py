"""Label agreement: whether a segmenter trained on real frames finds in renders what their labels say."""

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import resize_ids, resize_image
from flowreel.pipeline.quality.segmenters import Segmenter


def label_agreement(
    segmenter: Segmenter, image_THW3: NDArray[np.uint8], label_THW: NDArray[np.integer]
) -> list[float | None]:
    """Gives per frame the share of pixels that the segmenter classifies as their label says, 0 to 1, among those whose
    class it knows; None where it knows none.

    It is measured at the size that the segmenter gives.
    """
    classes = np.array(segmenter.classes)
    agreed: list[float | None] = []
    for image_HW3, label_HW in zip(image_THW3, label_THW, strict=True):
        image = resize_image(image_HW3, segmenter.size) if segmenter.size else image_HW3
        x_13HW = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        logits_CHW = segmenter.logits(x_13HW)[0]
        found_HW = classes[logits_CHW.argmax(axis=0)]
        label_HW = resize_ids(label_HW, found_HW.shape[::-1])
        known = np.isin(label_HW, classes)
        agreed.append(float((found_HW == label_HW)[known].mean()) if known.any() else None)
    return agreed
