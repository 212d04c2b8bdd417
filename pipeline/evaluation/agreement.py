"""Label agreement: whether a segmenter trained on real frames finds in other frames what their labels say."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from flowreel.pipeline.generator.conditioning import from_uint8
from flowreel.pipeline.quality.segmenter_network import IGNORED, Segmenter, targets
from flowreel.schemas.errors import UsageError

BATCH = 8  # frames at once


@dataclass(frozen=True)
class Agreement:
    """Holds how well predictions match labels, over the pixels whose class the segmenter knows."""

    accuracy: float  # share of these pixels
    mean_iou: float  # over the classes that the labels show
    iou: dict[int, float]  # by label id


@torch.inference_mode()
def agreement(segmenter: Segmenter, image_THW3: NDArray[np.uint8], label_THW: NDArray[np.integer]) -> Agreement:
    """Compares what a segmenter finds in frames with their labels; images are 8-bit RGB, labels hold class ids.

    Raises UsageError if the labels show no class that the segmenter knows.
    """
    classes = segmenter.facts.classes
    confusion = torch.zeros((len(classes), len(classes)), dtype=torch.int64)  # label, prediction
    for start in range(0, len(image_THW3), BATCH):
        image_B3HW = from_uint8(torch.from_numpy(image_THW3[start : start + BATCH]).movedim(-1, 1))
        wanted = targets(torch.from_numpy(label_THW[start : start + BATCH].astype(np.int64)), classes)
        known = wanted != IGNORED
        pairs = wanted[known] * len(classes) + segmenter(image_B3HW).argmax(dim=1)[known]
        confusion += torch.bincount(pairs, minlength=confusion.numel()).view_as(confusion)
    if not confusion.sum():
        raise UsageError(f"the labels show none of the classes that the segmenter knows: {list(classes)}")
    return _of(confusion, classes)


def _of(confusion: torch.Tensor, classes: tuple[int, ...]) -> Agreement:
    right, labelled, predicted = confusion.diagonal(), confusion.sum(dim=1), confusion.sum(dim=0)
    iou = (right / (labelled + predicted - right).clamp(min=1)).tolist()
    shown = {classes[k]: iou[k] for k in labelled.nonzero().flatten().tolist()}
    return Agreement(float(right.sum() / confusion.sum()), sum(shown.values()) / len(shown), shown)
