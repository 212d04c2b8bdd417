"""Presets of `source.preset`: how well-known datasets and simulators lay out their files, in one word."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowreel.schemas.street_classes import CAMVID, CARLA, IDD, MAPILLARY, to_cityscapes, train_ids_to_cityscapes

URI = "{uri}"  # in a preset's fields: source.uri


@dataclass(frozen=True)
class Preset:
    """Fields of `source` that fit a layout; ``tree``: example files below source.uri."""

    about: str
    fields: Mapping[str, Any]
    tree: tuple[str, ...]
    note: str = field(default="")


_STREETS = {"label_space": "cityscapes"}
_TRAIN_IDS = _STREETS | {"remap": train_ids_to_cityscapes()}

PRESETS = {
    "cityscapes": Preset(
        "Cityscapes: gtFine, stills or runs of frames of a snippet; leftImg8bit as images",
        {
            "labels": "gtFine/{sequence}_*_gtFine_labelIds.png",
            "instances": "gtFine/{sequence}_*_gtFine_instanceIds.png",
            "images": "leftImg8bit/{sequence}_*_leftImg8bit.png",
            "fps": 17,
            "step": 1,
            "gaps": "split",
            **_STREETS,
        },
        (
            "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png",
            "gtFine/train/aachen/aachen_000000_000019_gtFine_instanceIds.png",
            "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
        ),
        "frames that do not follow on each other are sequences of their own",
    ),
    "camvid": Preset(
        "CamVid: the 32 classes in colours",
        {
            "labels": "LabeledApproved_full/{sequence}_*_L.png",
            "images": "701_StillsRaw_full/{sequence}_*.png",
            "encoding": {"colours": "camvid"},
            "remap": to_cityscapes(CAMVID),
            "fps": 15,
            "step": 2,
            "gaps": "split",
            **_STREETS,
        },
        ("LabeledApproved_full/0016E5_07959_L.png", "701_StillsRaw_full/0016E5_07959.png"),
        "frames that are labelled once a second, not at 15 Hz, are sequences of their own",
    ),
    "kitti-step": Preset(
        "KITTI-STEP: class and track in one PNG",
        {
            "labels": "panoptic_maps/{sequence}/*.png",
            "images": "images/{sequence}/*.png",
            "encoding": "kitti-step",
            "fps": 10,
            **_TRAIN_IDS,
        },
        ("panoptic_maps/train/0000/000000.png", "images/train/0000/000000.png"),
    ),
    "bdd100k": Preset(
        "BDD100K: semantic segmentation of stills, train ids",
        {
            "labels": "labels/sem_seg/masks/{sequence}.png",
            "images": "images/10k/{sequence}.jpg",
            "fps": 30,
            **_TRAIN_IDS,
        },
        ("labels/sem_seg/masks/train/0000f77c-6257be58.png", "images/10k/train/0000f77c-6257be58.jpg"),
        "each file is a sequence of one frame",
    ),
    "idd": Preset(
        "India Driving Dataset: level3Ids as its createLabels.py writes them",
        {
            "labels": "gtFine/{sequence}_gtFine_labellevel3Ids.png",
            "images": "leftImg8bit/{sequence}_leftImg8bit.png",
            "remap": to_cityscapes(IDD),
            **_STREETS,
        },
        ("gtFine/train/0/503_gtFine_labellevel3Ids.png", "leftImg8bit/train/0/503_leftImg8bit.png"),
        "each file is a sequence of one frame; part II has .jpg images; instance maps, where they were made:"
        " instances: gtFine/{sequence}_gtFine_instancelevel3Ids.png",
    ),
    "mapillary": Preset(
        "Mapillary Vistas v1.2: class and instance in one 16-bit PNG",
        {
            "labels": "training/v1.2/instances/{sequence}.png",
            "images": "training/images/{sequence}.jpg",
            "encoding": "mapillary",
            "remap": to_cityscapes(MAPILLARY),
            **_STREETS,
        },
        ("training/v1.2/instances/0035fkbjWljhaftpVM37-g.png", "training/images/0035fkbjWljhaftpVM37-g.jpg"),
        "each file is a sequence of one frame; for v2.0: labels: training/v2.0/instances/{sequence}.png and"
        " label_space: ROOT/config_v2.0.json",
    ),
    "carla": Preset(
        "CARLA 0.9.14 or newer: the raw semantic camera, tags in red",
        {"labels": "{sequence}/*.png", "encoding": {"channel": "red"}, "fps": 20, "remap": to_cityscapes(CARLA)}
        | _STREETS,
        ("Town01/semantic/00000001.png", "Town01/semantic/00000002.png"),
        "a folder per camera; of the instance camera: encoding: kitti-step",
    ),
    "replicator": Preset(
        "Omniverse Replicator's BasicWriter: colours, and JSON that names them",
        {
            "labels": "{sequence}/semantic_segmentation_*.png",
            "images": "{sequence}/rgb_*.png",
            "encoding": {"colours": f"{URI}/**/semantic_segmentation_labels_*.json"},
            "label_space": f"{URI}/**/semantic_segmentation_labels_*.json",
            "fps": 30,
        },
        ("run1/semantic_segmentation_0000.png", "run1/semantic_segmentation_labels_0000.json", "run1/rgb_0000.png"),
        "the label space holds the classes that the JSON files name",
    ),
    "coco-panoptic": Preset(
        "COCO panoptic: segments in colours, and JSON that describes them",
        {
            "labels": "annotations/panoptic_{sequence}.png",
            "images": "{sequence}.jpg",
            "encoding": "coco-panoptic",
            "label_space": f"{URI}/annotations/panoptic_*.json",
        },
        (
            "annotations/panoptic_val2017/000000000139.png",
            "annotations/panoptic_val2017.json",
            "val2017/000000000139.jpg",
        ),
        "each file is a sequence of one frame; the label space is the JSON's categories",
    ),
}


def with_preset(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the fields of a source with those of its preset beneath. Raises ValueError for a name that is none.

    A preset's remap belongs to its label space: with another one it falls away.
    """
    name = tree.get("preset")
    if name is None:
        return dict(tree)
    if name not in PRESETS:
        raise ValueError(f"preset: {name!r} is none of {', '.join(PRESETS)}; `flowreel presets` shows them")
    uri = str(tree.get("uri", "")).rstrip("/")
    fields = {key: _placed(value, uri) for key, value in PRESETS[name].fields.items()}
    if tree.get("label_space", fields["label_space"]) != fields["label_space"]:
        fields.pop("remap", None)
    return {**fields, **tree}


def _placed(value: Any, uri: str) -> Any:
    """Puts the source's place into a field."""
    if isinstance(value, dict):
        return {key: _placed(inner, uri) for key, inner in value.items()}
    return value.replace(URI, uri) if isinstance(value, str) else value
