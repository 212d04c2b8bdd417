"""Label agreement: whether a segmenter that learnt from real frames finds in renders what their labels say."""

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.codec import resize_ids, resize_image
from pipeline.file_uri import open_file
from pipeline.generator.images import from_uint8
from pipeline.storage_errors import Unavailable
from pipeline.training.segmenter import IGNORED, Segmenter, load_segmenter, targets
from schemas.errors import StorageError, UsageError
from schemas.label_space import LabelSpace
from schemas.spec import Spec


def open_segmenter(spec: Spec, space: LabelSpace) -> Segmenter | None:
    """The segmenter that a spec names. Raises UsageError if there is none or it tells classes of another label space,
    CheckpointError if the file is something else."""
    if spec.quality.segmenter is None:
        return None
    store, name = open_file(spec.quality.segmenter, spec.storage_options)
    try:
        data = store.read(name)
    except Unavailable:
        raise
    except StorageError as error:
        raise UsageError(f"quality.segmenter: {error}") from None
    segmenter = load_segmenter(data, store.url(name))
    if segmenter.facts.label_space != space.name:
        raise UsageError(
            f"quality.segmenter: {store.url(name)} tells classes of the label space '{segmenter.facts.label_space}',"
            f" the labels are of '{space.name}'; train one on these labels with `python -m benchmarks.segmenter`"
        )
    return segmenter


@torch.inference_mode()
def label_agreement(
    segmenter: Segmenter, image_THW3: NDArray[np.uint8], label_THW: NDArray[np.integer]
) -> list[float | None]:
    """Per frame, the share of pixels that the segmenter names as their label does, of those whose class it knows;
    None where it knows none. Frames are looked at in the size that it was trained at."""
    agreed: list[float | None] = []
    for image_HW3, label_HW in zip(image_THW3, label_THW, strict=True):
        image, label = resize_image(image_HW3, segmenter.facts.size), resize_ids(label_HW, segmenter.facts.size)
        logits = segmenter(from_uint8(torch.from_numpy(image.copy()).movedim(-1, 0)[None]))
        wanted = targets(torch.from_numpy(label.astype(np.int64))[None], segmenter.facts.classes)
        known = wanted != IGNORED
        right = (logits.argmax(dim=1) == wanted)[known]
        agreed.append(float(right.float().mean()) if len(right) else None)
    return agreed
