"""Cityscapes' folders: leftImg8bit/SPLIT/CITY/... and gtFine/SPLIT/CITY/..._labelIds.png, _instanceIds.png, _color.png.

A sequence is a city, a clip a sequence number in it; images keep the bytes and the ending that they are stored with.
Polygons are not made: their outlines would not be the published labels.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import encode_ids, encode_image
from flowreel.pipeline.export.clip import ClipSource, ExportClip, Ids, instances_in_sight
from flowreel.pipeline.export.run import Put, Record, Unit
from flowreel.pipeline.pictures import color_labels
from flowreel.pipeline.reader.dataset import Dataset
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_space import LabelSpace

PER_CLASS = 1000  # instanceIds: class x 1000 + number of the instance


class Cityscapes:
    """https://github.com/mcordts/cityscapesScripts, "Dataset Structure"."""

    name = "cityscapes"

    def units(self, dataset: Dataset) -> Sequence[Unit]:
        return [Unit(f"{i:06d}", (i,)) for i in range(len(dataset))]

    def write(self, source: ClipSource, unit: Unit, put: Put) -> Record:
        clip, space = source.clip(unit.clips[0]), source.dataset.label_space
        numbers = _numbers(clip, space)
        for t, frame in enumerate(clip.frames):
            name = f"{clip.split}/{clip.slug}/{clip.slug}_{clip.number:06d}_{frame['frame_index']:06d}"
            ending, label = clip.ending(t), clip.label(t)
            clip.ending(t, "label")
            put(f"gtFine/{name}_gtFine_labelIds.png", frame["label"]["bytes"])
            put(f"gtFine/{name}_gtFine_instanceIds.png", encode_ids(_instance_ids(label, clip, t, space, numbers)))
            put(f"gtFine/{name}_gtFine_color.png", encode_image(color_labels(label, space), "png", 100))
            put(f"leftImg8bit/{name}_leftImg8bit{ending}", frame["image"]["bytes"])
        return {}

    def close(self, dataset: Dataset, records: Iterator[Record], folder: Path) -> Sequence[Path]:
        return []


def _numbers(clip: ExportClip, space: LabelSpace) -> dict[tuple[int, int], int]:
    """Numbers instances within their class, (class, instance) -> number, the same in all frames of a clip.

    Ids that follow Cityscapes' rule already keep their number. Raises UsageError for more instances than it allows.
    """
    pairs: set[tuple[int, int]] = set()
    for t in range(len(clip.frames)):
        label = clip.label(t)
        inside = instances_in_sight(label, clip.ids("instance", t), space)
        found = np.unique(np.stack([label[inside >= 0].astype(np.int64), inside[inside >= 0]]), axis=1)
        pairs |= set(zip(*found.tolist(), strict=True))
    if all(instance // PER_CLASS == class_id for class_id, instance in pairs):
        return {(class_id, instance): instance % PER_CLASS for class_id, instance in pairs}
    numbers, count = {}, dict[int, int]()
    for class_id, instance in sorted(pairs):
        numbers[class_id, instance] = count[class_id] = count.get(class_id, -1) + 1
    if max(count.values()) >= PER_CLASS or max(count) > 64:
        raise UsageError(
            f"clip {clip.key('clip_id')}: {max(count.values()) + 1} instances of a class, class ids up to {max(count)};"
            f" Cityscapes' 16-bit instanceIds hold {PER_CLASS} of classes up to 64: choose another format"
        )
    return numbers


def _instance_ids(
    label: Ids, clip: ExportClip, t: int, space: LabelSpace, numbers: dict[tuple[int, int], int]
) -> NDArray[np.uint16]:
    out = label.astype(np.uint16)
    inside = instances_in_sight(label, clip.ids("instance", t), space)
    for (class_id, instance), number in numbers.items():
        out[(label == class_id) & (inside == instance)] = class_id * PER_CLASS + number
    return out
