"""COCO: images/SPLIT/, annotations/panoptic_SPLIT.json with panoptic_SPLIT/ PNGs, annotations/instances_SPLIT.json; for
poses and faces also annotations/person_keypoints_SPLIT.json.

Every pixel is in a segment, ignored classes included, so that labels can be restored bit by bit: segment -> category,
which has the class's id.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import encode_image
from flowreel.pipeline.export.clip import ClipSource, Segment, folder_name, segments
from flowreel.pipeline.export.coco_keypoints import keypoint_annotations, keypoint_category
from flowreel.pipeline.export.run import Put, Record, Unit
from flowreel.pipeline.reader.dataset import Dataset
from flowreel.schemas.label_space import LabelSpace


class CocoPanoptic:
    """https://cocodataset.org/#format-data, sections 1 and 4. Ids of images and annotations count from 1."""

    name = "coco-panoptic"

    def units(self, dataset: Dataset) -> Sequence[Unit]:
        return [Unit(f"{i:06d}", (i,)) for i in range(len(dataset))]

    def write(self, source: ClipSource, unit: Unit, put: Put) -> Record:
        clip, space = source.clip(unit.clips[0]), source.dataset.label_space
        split, frames = clip.split, []
        for t, frame in enumerate(clip.frames):
            name = f"{clip.slug}_{clip.number:06d}_{frame['frame_index']:06d}"
            label_HW, instance = clip.label(t), clip.ids("instance", t)
            number_HW, parts = segments(label_HW, instance, space)
            crowds = space.things if instance is not None else frozenset[int]()
            image = name + clip.ending(t)
            put(f"images/{split}/{image}", frame["image"]["bytes"])
            put(f"annotations/panoptic_{split}/{name}.png", encode_image(_as_rgb(number_HW), "png", 100))
            height, width = number_HW.shape
            frames.append({
                "file_name": image, "mask": f"{name}.png", "width": width, "height": height,
                "clip_id": clip.key("clip_id"), "frame_index": frame["frame_index"],
                "segments": [_segment_info(i, part, crowds) for i, part in enumerate(parts, 1)],
                "instances": _instances(number_HW, parts, space),
                "keypoints": keypoint_annotations(frame.get("keypoints") or []),
            })  # fmt: skip
        return {"split": split, "frames": frames}

    def close(self, dataset: Dataset, records: Iterator[Record], folder: Path) -> Sequence[Path]:
        categories = [_category(dataset.label_space, c.id) for c in dataset.label_space.classes]
        info, source = {"description": dataset.version.record.name}, dataset.version.record.spec.source
        heads = {kind: {"info": info, "categories": categories} for kind in ("panoptic", "instances")}
        if source.has_keypoints:
            heads["person_keypoints"] = {"info": info, "categories": [keypoint_category(source)]}
        with ExitStack() as stack:
            splits: dict[str, dict[str, _Listing]] = {}
            annotation = itertools.count(1)
            for record in records:
                split = folder_name(record["split"])
                if split not in splits:
                    splits[split] = {
                        kind: stack.enter_context(_Listing(folder / "annotations" / f"{kind}_{split}.json", head))
                        for kind, head in heads.items()
                    }
                for frame in record["frames"]:
                    _add(frame, splits[split], annotation)
        return sorted((folder / "annotations").glob("*.json"))


class _Listing:
    """A JSON file of images and annotations that may be larger than memory: annotations are kept in a second file."""

    def __init__(self, file: Path, head: dict[str, Any]) -> None:
        self._place, self._head, self._images, self._annotations = file, head, 0, 0

    def __enter__(self) -> "_Listing":
        self._place.parent.mkdir(exist_ok=True)
        self._file = open(self._place, "w", encoding="utf-8")
        self._later = open(self._place.with_suffix(".part"), "w+", encoding="utf-8")
        self._file.write(json.dumps(self._head)[:-1] + ', "images": [')
        return self

    def image(self, entry: dict[str, Any]) -> int:
        """Adds an image, and gives its id."""
        self._images += 1
        _append(self._file, {"id": self._images} | entry, self._images)
        return self._images

    def annotate(self, entry: dict[str, Any]) -> None:
        """Adds an annotation."""
        self._annotations += 1
        _append(self._later, entry, self._annotations)

    def __exit__(self, *error: object) -> None:
        self._file.write('\n], "annotations": [')
        self._later.seek(0)
        self._file.writelines(self._later)
        self._file.write("\n]}\n")
        self._file.close()
        self._later.close()


def _append(file: TextIO, entry: dict[str, Any], count: int) -> None:
    file.write(("\n" if count == 1 else ",\n") + json.dumps(entry))


def _add(frame: dict[str, Any], listings: dict[str, _Listing], annotation: Iterator[int]) -> None:
    image = {name: frame[name] for name in ("file_name", "width", "height", "clip_id", "frame_index")}
    (number,) = {listing.image(image) for listing in listings.values()}
    segments_info = {"image_id": number, "file_name": frame["mask"], "segments_info": frame["segments"]}
    listings["panoptic"].annotate(segments_info)
    for kind, entries in (("instances", frame["instances"]), ("person_keypoints", frame.get("keypoints", []))):
        for entry in entries:
            listings[kind].annotate({"id": next(annotation), "image_id": number} | entry)


def _as_rgb(number_HW: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Encodes id = R + 256 G + 65536 B."""
    return np.stack([number_HW & 255, number_HW >> 8 & 255, number_HW >> 16], axis=-1).astype(np.uint8)


def _segment_info(number: int, segment: Segment, crowds: frozenset[int]) -> dict[str, Any]:
    """Describes a segment; ``crowds``: the classes whose pixels without an instance are groups of objects."""
    return {
        "id": number, "category_id": segment.class_id, "area": segment.area, "bbox": list(segment.box),
        "iscrowd": int(segment.instance is None and segment.class_id in crowds),
    }  # fmt: skip


def _instances(number_HW: NDArray[np.int32], parts: Sequence[Segment], space: LabelSpace) -> list[dict[str, Any]]:
    return [_instance(number_HW == i, part) for i, part in enumerate(parts, 1) if part.class_id in space.things]


def _instance(mask_HW: NDArray[np.bool_], segment: Segment) -> dict[str, Any]:
    """Describes one instance; pixels of a thing class without an instance are a crowd."""
    return {
        "category_id": segment.class_id, "area": segment.area, "bbox": list(segment.box),
        "iscrowd": int(segment.instance is None),
        "segmentation": {"size": list(mask_HW.shape), "counts": _run_lengths(mask_HW)},
    }  # fmt: skip


def _run_lengths(mask_HW: NDArray[np.bool_]) -> list[int]:
    """Encodes a mask as COCO's uncompressed RLE: by columns, zeros first."""
    flat = mask_HW.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False)) if len(flat) else np.zeros(0, np.int64)
    return np.diff(edges, prepend=0, append=len(flat)).tolist()


def _category(space: LabelSpace, class_id: int) -> dict[str, Any]:
    found = space.by_id[class_id]
    return {
        "id": class_id, "name": found.name, "supercategory": found.name, "isthing": int(found.kind == "thing"),
        "color": list(found.color),
    }  # fmt: skip
