"""Each preset on a tree as the format's owners document it: which sequences come of it, and every pixel's class."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.edits import remap_table
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.render.fetch import fetch_clip
from flowreel.pipeline.sources.encodings import open_decoder
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.sources.find import find_sequences
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.sources.template import Template
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.parse import parse_spec
from flowreel.schemas.presets import PRESETS
from flowreel.schemas.source import SourceSpec
from flowreel.schemas.spec import Spec

Ids = NDArray[np.integer]
WIDTH, HEIGHT = 64, 32
SKY, BUILDING, ROAD, CAR = range(4)  # what the scenes show
CITYSCAPES = [23, 11, 7, 26]
Found = dict[str, list[tuple[int, Ids | None]]]  # sequence -> per frame: the scene's number, instances


def scene(t: int) -> Ids:
    """Sky, building, road, and a car that is somewhere else in each."""
    part_HW = np.full((HEIGHT, WIDTH), SKY, np.uint8)
    part_HW[10:], part_HW[16:] = BUILDING, ROAD
    part_HW[18:26, 2 + 5 * t % 40 : 14 + 5 * t % 40] = CAR
    return part_HW


def painted(t: int, values: Iterable[Any], kind: type[np.generic] = np.uint8) -> Ids:
    """The scene in a format's values: numbers, or colours."""
    return np.array(list(values), kind)[scene(t)]


def save(root: Path, path: str, pixels: Ids) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(root / path)


def cityscapes(root: Path) -> Found:
    found: Found = {}
    shots = [("train/aachen/aachen", 0, [19]), ("train/aachen/aachen", 1, [19]), ("val/ulm/ulm", 0, [0, 1, 2, 29])]
    number = 0
    for city, snippet, frames in shots:
        for t in frames:
            name = f"{city}_{snippet:06}_{t:06}"
            instance_HW = painted(number, [23, 11, 7, 26001], np.uint16)
            save(root, f"gtFine/{name}_gtFine_labelIds.png", painted(number, CITYSCAPES))
            save(root, f"gtFine/{name}_gtFine_instanceIds.png", instance_HW.astype(np.int32).astype(np.uint16))
            save(root, f"gtFine/{name}_gtFine_color.png", painted(number, [(70, 130, 180)] * 4))
            (root / f"gtFine/{name}_gtFine_polygons.json").write_text("{}")
            sequence = f"{city}_{snippet:06}" + ("@000029" if t == 29 else "")
            found.setdefault(sequence, []).append((number, instance_HW))
            number += 1
    return found


def camvid(root: Path) -> Found:
    colours = [(128, 128, 128), (128, 0, 0), (128, 64, 128), (64, 0, 128)]
    names = ["0001TP_006690", "0001TP_006720", "0016E5_07959", "0016E5_07961", "0016E5_07963", "0006R0_f00930"]
    for i, name in enumerate(names):
        save(root, f"LabeledApproved_full/{name}_L.png", painted(i, colours))
        save(root, f"701_StillsRaw_full/{name}.png", painted(i, colours))
    return {
        "0001TP": [(0, None)], "0001TP@006720": [(1, None)], "0016E5": [(2, None), (3, None), (4, None)],
        "0006R0": [(5, None)],
    }  # fmt: skip


def kitti_step(root: Path) -> Found:
    found: Found = {}
    for i, name in enumerate(("train/0000", "train/0001", "val/0002")):
        for t in range(2):
            track_HW = np.where(scene(i + t) == CAR, 300, 0).astype(np.uint16)
            class_HW = painted(i + t, [10, 2, 0, 13])
            rgb = np.stack([class_HW, track_HW // 256, track_HW % 256], axis=-1).astype(np.uint8)
            save(root, f"panoptic_maps/{name}/{t:06}.png", rgb)
            found.setdefault(name, []).append((i + t, track_HW))
    return found


def bdd100k(root: Path) -> Found:
    names = ["train/0000f77c-6257be58", "train/0000f77c-cb820c98", "val/7d06fefd-f7be05a6"]
    for i, name in enumerate(names):
        save(root, f"labels/sem_seg/masks/{name}.png", painted(i, [10, 2, 0, 13]))
        save(root, f"labels/sem_seg/colormaps/{name}.png", painted(i, [(70, 130, 180)] * 4))
    return {name: [(i, None)] for i, name in enumerate(names)}


def idd(root: Path) -> Found:
    names = ["train/0/503", "train/0/3426", "train/201/frame0029", "val/119/902541"]
    for i, name in enumerate(names):
        save(root, f"gtFine/{name}_gtFine_labellevel3Ids.png", painted(i, [25, 22, 0, 9]))
        (root / f"gtFine/{name}_gtFine_polygons.json").write_text("{}")
    return {name: [(i, None)] for i, name in enumerate(names)}


def mapillary(root: Path) -> Found:
    names = ["0035fkbjWljhaftpVM37-g", "00qclUcInksIYnm19b1Xfw", "-1Gn_xkw7sa_i9GU4mkxxQ"]
    found: Found = {}
    for i, name in enumerate(names):
        values = painted(i, [27 * 256, 17 * 256, 13 * 256, 55 * 256 + 3], np.uint16)
        save(root, f"training/v1.2/instances/{name}.png", values)
        save(root, f"training/v1.2/labels/{name}.png", painted(i, [27, 17, 13, 55]))
        found[name] = [(i, values)]
    return found


def carla(root: Path) -> Found:
    tags = [(11, 0, 0, 255), (3, 0, 0, 255), (1, 0, 0, 255), (14, 0, 0, 255)]
    for t in range(3):
        save(root, f"Town01/semantic/{120 + t:08d}.png", painted(t, tags))
    return {"Town01/semantic": [(t, None) for t in range(3)]}


STREETS = [cityscapes, camvid, kitti_step, bdd100k, idd, mapillary, carla]


@pytest.mark.parametrize("build", STREETS, ids=lambda build: build.__name__)
def test_a_preset_in_one_word_gives_cityscapes_ids(build: Callable[[Path], Found], tmp_path: Path) -> None:
    expected = build(tmp_path / "tree")
    tree = {
        "dataset": {"uri": str(tmp_path / "out")},
        "source": {"uri": str(tmp_path / "tree"), "preset": build.__name__.replace("_", "-")},
        "generator": {"checkpoint": "bundled", "size": [WIDTH, HEIGHT]},
        "execution": {"num_gpus": 0},
    }
    prepared = prepare(Spec.model_validate(tree), dry=True)
    prepared.catalog.check()
    clips = {clip.sequence_id: clip for shard in prepared.plan.shards for clip in shard.clips}
    assert sorted(clips) == sorted(expected)
    for name, frames in expected.items():
        maps = fetch_clip(clips[name], prepared.job)
        assert np.array_equal(maps.label_THW, np.stack([painted(number, CITYSCAPES) for number, _ in frames])), name
        if frames[0][1] is None:
            assert maps.instance_THW is None
            continue
        assert maps.instance_THW is not None
        for t, (number, instance_HW) in enumerate(frames):
            assert instance_HW is not None
            is_car_HW = scene(number) == CAR
            assert np.array_equal(maps.instance_THW[t][is_car_HW], instance_HW[is_car_HW]), name


def coco_panoptic(root: Path) -> dict[str, Ids]:
    """Two pictures; what no segment covers has the colour 0."""
    categories = [
        {"supercategory": "vehicle", "isthing": 1, "id": 3, "name": "car"},
        {"supercategory": "ground", "isthing": 0, "id": 149, "name": "road"},
        {"supercategory": "building", "isthing": 0, "id": 197, "name": "building-other-merged"},
    ]
    segments = [0, 4_000_123, 70_000, 513]
    annotations, found = [], {}
    for i, name in enumerate(("000000000139", "000000000285")):
        number_HW = painted(i, segments, np.int64)
        rgb = np.stack([number_HW >> 8 * k & 255 for k in range(3)], axis=-1).astype(np.uint8)
        save(root, f"annotations/panoptic_val2017/{name}.png", rgb)
        parts = [{"id": s, "category_id": c, "iscrowd": 0} for s, c in zip(segments[1:], (197, 149, 3), strict=True)]
        annotations.append({"file_name": f"{name}.png", "image_id": int(name), "segments_info": parts})
        found[f"val2017/{name}"] = painted(i, [0, 197, 149, 3], np.uint16)
    text = json.dumps({"images": [], "annotations": annotations, "categories": categories})
    (root / "annotations/panoptic_val2017.json").write_text(text)
    return found


def replicator(root: Path) -> dict[str, Ids]:
    """A run of frames that do not all show all classes. Ids: background, unlabelled, then classes by name."""
    colours = {
        "sky": (25, 255, 82, 255),
        "building": (140, 25, 255, 255),
        "road": (255, 25, 197, 255),
        "car": (9, 9, 9, 255),
    }
    found = []
    for t in range(2):
        save(root, f"run1/semantic_segmentation_{t:04}.png", painted(t, colours.values()))
        save(root, f"run1/rgb_{t:04}.png", painted(t, colours.values()))
        labels = {str(rgba): {"class": name} for name, rgba in colours.items()}
        if t:
            labels |= {"(0, 0, 0, 0)": {"class": "BACKGROUND"}, "(0, 0, 0, 255)": {"class": "UNLABELLED"}}
        (root / f"run1/semantic_segmentation_labels_{t:04}.json").write_text(json.dumps(labels))
        found.append(painted(t, [5, 2, 4, 3]))
    return {"run1": np.stack(found)}


@pytest.mark.parametrize("build", [coco_panoptic, replicator], ids=lambda build: build.__name__)
def test_a_preset_whose_classes_are_in_json_beside_the_pictures(
    build: Callable[[Path], dict[str, Ids]], tmp_path: Path
) -> None:
    expected = build(tmp_path)
    source = SourceSpec(uri=str(tmp_path), preset=build.__name__.replace("_", "-"))
    store, space = open_store(source.uri), open_label_space(source.label_space, {})
    decoder, table = open_decoder(source, space, {}), remap_table(source.classes_of_ids, space)
    catalog = find_sequences(store, source, space, INDEX.empty_table(), (WIDTH, HEIGHT), decoder=decoder)
    catalog.check()
    found = {
        s.sequence_id: [table[decoder.read(store.read(f.label.path), f.label.path, "label").ids_HW] for f in s.frames]
        for s in catalog.sequences
    }
    assert found.keys() == expected.keys()
    for name, ids in expected.items():
        assert np.array_equal(np.stack(found[name]), ids.reshape(-1, HEIGHT, WIDTH)), name
    names = {c.id: c.name for c in space.classes}
    shown = {names[i] for i in np.unique(np.stack(list(expected.values()))).tolist()}
    assert shown == ({"unlabeled", "building-other-merged", "road", "car"} if "coco" in str(source.preset) else
                     {"sky", "building", "road", "car"})  # fmt: skip


def test_colours_that_mean_two_things_in_two_files_are_refused(tmp_path: Path) -> None:
    replicator(tmp_path)
    path = tmp_path / "run1/semantic_segmentation_labels_0001.json"
    path.write_text(path.read_text().replace('"car"', '"van"'))
    source = SourceSpec(uri=str(tmp_path), preset="replicator")
    with pytest.raises(UsageError, match=r"colour \[?\(?9, 9, 9, 255.* stands for two classes"):
        open_decoder(source, open_label_space(source.label_space, {}), {})


def test_mapillary_of_another_version_brings_its_own_classes(tmp_path: Path) -> None:
    rows = [("animal--bird", "Bird", [165, 42, 42], True), ("void--unlabeled", "Unlabeled", [0, 0, 0], False)]
    labels = [{"name": n, "readable": r, "color": c, "instances": t, "evaluate": t} for n, r, c, t in rows]
    (tmp_path / "config_v2.0.json").write_text(json.dumps({"version": "2.0", "labels": labels}))
    source = SourceSpec.model_validate(
        {"uri": str(tmp_path), "preset": "mapillary", "label_space": str(tmp_path / "config_v2.0.json")}
    )
    assert source.remap == {}  # that of the preset was for its own label space
    space = open_label_space(source.label_space, {})
    assert [(c.id, c.name, c.kind, c.ignore) for c in space.classes] == [
        (0, "Bird", "thing", False), (1, "Unlabeled", "stuff", True)
    ]  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_example_trees_are_matched_by_the_templates(name: str) -> None:
    source = SourceSpec(uri="s3://bucket/root", preset=name)
    templates = [Template(text) for text in (source.labels, source.instances, source.images) if text]
    matches = [[path for path in PRESETS[name].tree if template.match(path)] for template in templates]
    assert all(matches)
    if source.images:  # the same key: images belong to label maps
        keys = {template.match(paths[0]) for template, paths in zip(templates, matches, strict=True)}
        assert len(keys) == 1
    if source.label_space in BUILT_IN:
        remap_table(source.classes_of_ids, BUILT_IN[source.label_space])
    assert SourceSpec.model_validate_json(source.model_dump_json()) == source


def test_fields_override_a_preset_one_by_one() -> None:
    base = "dataset: {uri: out}\nsource: {uri: in, preset: cityscapes, fps: 8, instances: null}\n"
    spec = parse_spec(base, ["source.gaps=hold"])
    assert (spec.source.fps, spec.source.instances, spec.source.gaps, spec.source.step) == (8, None, "hold", 1)
    with pytest.raises(UsageError, match="preset: 'city' is none of cityscapes, camvid, .*`flowreel presets` shows"):
        parse_spec(base, ["source.preset=city"])


def test_names_of_classes_are_those_of_their_formats() -> None:
    names = {space: {c.id: c.name for c in BUILT_IN[space].classes} for space in BUILT_IN}
    assert names["carla"][12] == "pedestrian" and names["carla"][24] == "road line" and len(names["carla"]) == 30
    assert names["mapillary-v1.2"][24] == "Lane Marking - General" and len(names["mapillary-v1.2"]) == 66
    assert names["idd"][8] == "autorickshaw" and len(names["idd"]) == 27 and len(names["camvid"]) == 32
    assert names["cityscapes-train-ids"][6] == "traffic light" and names["cityscapes-train-ids"][255] == "unlabeled"


def test_the_command_lists_them_and_shows_one_in_full() -> None:
    listed, one = (
        subprocess.run([sys.executable, "-m", "flowreel", "presets", *more], capture_output=True, text=True, check=True)
        for more in ((), ("kitti-step", "--json"))
    )
    assert all(f"preset: {name}\n" in listed.stdout for name in PRESETS)
    assert json.loads(one.stdout)["kitti-step"]["source"]["encoding"] == "kitti-step"
