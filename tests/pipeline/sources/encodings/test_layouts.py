"""Trees as the owners of formats document them, rendered: what is published is what the test computed itself."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.render.fetch import fetch_clip
from flowreel.schemas.label_spaces import BUILT_IN
from tests.support.local_run import LocalRun

Ids = NDArray[np.integer]
SIZE = (64, 32)
FRAMES = 3
CITY, CAMVID = BUILT_IN["cityscapes"], BUILT_IN["camvid11"]


@dataclass(frozen=True)
class Tree:
    """What lies on disk: the source part of the spec, and what must be published, frame by frame."""

    source: dict[str, Any]
    label: list[Ids]
    instance: list[Ids] | None = None


def scene(t: int, ids: tuple[int, int, int, int] = (23, 11, 7, 26)) -> Ids:
    """Sky, building, road, and a car that moves."""
    sky, building, road, car = ids
    ids_HW = np.full(SIZE[::-1], sky, np.uint8)
    ids_HW[10:], ids_HW[16:] = building, road
    ids_HW[18:26, 5 + 3 * t : 17 + 3 * t] = car
    ids_HW[18:26, 40:50] = car
    return ids_HW


def objects(ids_HW: Ids, car: int = 26) -> Ids:
    """Numbers the left car 1 and the right one 2; 0 elsewhere."""
    number_HW = np.where(ids_HW == car, 1, 0).astype(np.uint16)
    number_HW[:, 36:] *= 2
    return number_HW


def save(path: Path, pixels: Ids | Image.Image, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)


def carla(root: Path) -> Tree:
    """`image.save_to_disk` of a raw semantic camera: BGRA in memory, the tag in red, alpha 255."""
    label = [scene(t) for t in range(FRAMES)]
    for t, ids_HW in enumerate(label):
        zero = np.zeros_like(ids_HW)
        save(root / f"Town01/sem/{t:08d}.png", np.dstack([ids_HW, zero, zero, zero + 255]))
    return Tree({"labels": "{sequence}/sem/*.png", "encoding": {"channel": "red"}}, label)


def carla_instances(root: Path) -> Tree:
    """CARLA's instance camera: tag in red, object in green and blue."""
    return kitti_step(root, "{sequence}/inst/*.png", lambda t: f"Town01/inst/{t:08d}.png", alpha=True)


def airsim(root: Path) -> Tree:
    """Ids of meshes in one channel of an uncompressed PNG by OpenCV, which writes BGR."""
    label = [scene(t) for t in range(FRAMES)]
    for t, ids_HW in enumerate(label):
        path = root / f"run1/seg/img_SimpleFlight_0_5_{t}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.dstack([ids_HW * 0 + 9, ids_HW * 0, ids_HW]))
    return Tree({"labels": "{sequence}/seg/*.png", "encoding": {"channel": "red"}}, label)


def kitti_step(
    root: Path,
    template: str = "{sequence}/*.png",
    name: Callable[[int], str] = lambda t: f"0002/{t:06d}.png",
    alpha: bool = False,
) -> Tree:
    """`panoptic_maps/train/0002/000000.png`: class in red, track = green x 256 + blue."""
    label, instance = [scene(t) for t in range(FRAMES)], []
    for t, ids_HW in enumerate(label):
        track_HW = objects(ids_HW) * 299  # above 255: both bytes count
        parts = [ids_HW, (track_HW // 256).astype(np.uint8), (track_HW % 256).astype(np.uint8)]
        save(root / name(t), np.dstack([*parts, ids_HW * 0 + 255] if alpha else parts))
        instance.append(track_HW)
    return Tree({"labels": template, "encoding": "kitti-step"}, label, instance)


def colours_of_space(root: Path) -> Tree:
    """BDD100K's colormaps and Cityscapes' `_color.png`: the palette of Cityscapes, RGBA there."""
    label = [scene(t) for t in range(FRAMES)]
    for t, ids_HW in enumerate(label):
        rgb = np.array([CITY.by_id[i].color if i in CITY.ids else (1, 2, 3) for i in range(256)], np.uint8)[ids_HW]
        image = Image.fromarray(rgb)
        save(root / f"b1/labels/{t:06d}.png", image.convert("RGBA") if t else image)
    return Tree({"encoding": "colours"}, label)


def camvid(root: Path) -> Tree:
    """CamVid's `701_StillsRaw_full` labels with `label_colors.txt`: lines of r g b name."""
    names = {0: "Sky", 1: "Building", 3: "Road", 8: "Car"}
    lines = [f"{' '.join(map(str, CAMVID.by_id[i].color))}\t{name}" for i, name in names.items()]
    own = {23: 0, 11: 1, 7: 3, 26: 8}
    (root / "label_colors.txt").write_text("\n".join(["64 128 64\tAnimal", *lines]))
    label = [scene(t) for t in range(FRAMES)]
    for t, ids_HW in enumerate(label):
        rgb = np.array([CAMVID.by_id[own.get(i, 11)].color for i in range(256)], np.uint8)[ids_HW]
        save(root / f"0016E5/labels/{t:06d}_L.png", rgb)
    file = str(root / "label_colors.txt")
    return Tree({"labels": "{sequence}/labels/*_L.png", "encoding": {"colours": file}}, label)


def synthia(root: Path) -> Tree:
    """SYNTHIA's GT/COLOR with a table of names, ids and colours of its own, mapped by a remap."""
    table = {
        1: ("Sky", (128, 128, 128)),
        2: ("Building", (128, 0, 0)),
        3: ("Road", (128, 64, 128)),
        8: ("Car", (64, 0, 128)),
    }
    rows = [f"{name},{i},{r},{g},{b}" for i, (name, (r, g, b)) in table.items()]
    (root / "classes.csv").write_text("\n".join(["name,id,r,g,b", *rows]))
    label = [scene(t) for t in range(FRAMES)]
    own = {23: 1, 11: 2, 7: 3, 26: 8}
    for t, ids_HW in enumerate(label):
        rgb = np.zeros((*ids_HW.shape, 3), np.uint8)
        for i, k in own.items():
            rgb[ids_HW == i] = table[k][1]
        save(root / f"SEQS-01/COLOR/{t:06d}.png", rgb)
    source = {"labels": "{sequence}/COLOR/*.png", "encoding": {"colours": str(root / "classes.csv")}}
    return Tree(source | {"remap": {k: i for i, k in own.items()}}, label)


def replicator(root: Path) -> Tree:
    """Omniverse Replicator's BasicWriter: RGBA beside a JSON of "(r, g, b, a)" -> {class}; nothing is transparent."""
    colour = {0: (0, 0, 0, 0), 11: (25, 255, 140, 255), 7: (140, 25, 255, 255), 26: (255, 197, 25, 255)}
    names = {0: "BACKGROUND", 11: "building", 7: "road", 26: "car"}
    label = [scene(t, (0, 11, 7, 26)) for t in range(FRAMES)]
    for t, ids_HW in enumerate(label):
        rgba = np.zeros((*ids_HW.shape, 4), np.uint8)
        for i, c in colour.items():
            rgba[ids_HW == i] = c
        save(root / f"Replicator/semantic_segmentation_{t:04d}.png", rgba)
        table = {str(c): {"class": names[i]} for i, c in colour.items() if (ids_HW == i).any()}
        (root / f"Replicator/semantic_segmentation_labels_{t:04d}.json").write_text(json.dumps(table))
    files = str(root / "Replicator/semantic_segmentation_labels_*.json")
    return Tree({"labels": "{sequence}/semantic_segmentation_*.png", "encoding": {"colours": files}}, label)


def synthia_labels(root: Path) -> Tree:
    """SYNTHIA's GT/LABELS: 16-bit RGB, the class in the first channel."""
    label = [scene(t) for t in range(FRAMES)]
    for t, ids_HW in enumerate(label):
        path = root / f"SEQS-01/LABELS/{t:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        deep_HW = ids_HW.astype(np.uint16)
        cv2.imwrite(str(path), np.dstack([deep_HW * 0, objects(ids_HW), deep_HW]))
    return Tree({"labels": "{sequence}/LABELS/*.png", "encoding": {"channel": "red"}}, label)


def roboflow(root: Path) -> Tree:
    """Roboflow's semantic masks: grey values that `_classes.csv` lists as "Pixel Value, Class"."""
    (root / "_classes.csv").write_text("Pixel Value, Class\n0, sky\n1, building\n2, road\n3, car\n")
    label = [scene(t) for t in range(FRAMES)]
    for t in range(FRAMES):
        save(root / f"train/{t:04d}_mask.png", scene(t, (0, 1, 2, 3)))
    source = {"labels": "{sequence}/*_mask.png", "encoding": {"colours": str(root / "_classes.csv")}}
    return Tree(source, label)


def coco_panoptic(root: Path) -> Tree:
    """VIPSeg and COCO: `panoptic_val.json` beside a folder of PNGs, id = R + 256 G + 65536 B."""
    label, instance, annotations = [scene(t) for t in range(FRAMES)], [], []
    for t, ids_HW in enumerate(label):
        segment_HW = np.zeros(ids_HW.shape, np.int64)
        parts = [(70_001, ids_HW == 23, 23, 0), (300, ids_HW == 11, 11, 0), (7, ids_HW == 7, 7, 0)]
        number_HW = objects(ids_HW)
        parts += [(1000 + k, number_HW == k, 26, int(k == 2)) for k in (1, 2)]  # the right one is a crowd
        for segment, mask_HW, _, _ in parts:
            segment_HW[mask_HW] = segment
        info = [{"id": s, "category_id": c, "iscrowd": crowd} for s, _, c, crowd in parts]
        annotations.append({"file_name": f"vid1/{t:06d}.png", "image_id": t, "segments_info": info})
        rgb = np.dstack([segment_HW & 255, segment_HW >> 8 & 255, segment_HW >> 16]).astype(np.uint8)
        save(root / f"panoptic_val/vid1/{t:06d}.png", rgb)
        instance.append(np.where(number_HW == 1, 1001, 0))
    categories = [{"id": i, "name": str(i), "isthing": int(i in CITY.things)} for i in (7, 11, 23, 26)]
    (root / "panoptic_val.json").write_text(json.dumps({"categories": categories, "annotations": annotations}))
    source = {"labels": "panoptic_val/{sequence}/*.png", "encoding": "coco-panoptic"}
    return Tree(source, label, instance)


def mapillary(root: Path) -> Tree:
    """Mapillary Vistas' `instances`: 16 bits, class x 256 + number."""
    label = [scene(t) for t in range(FRAMES)]
    instance = []
    for t, ids_HW in enumerate(label):
        raw_HW = ids_HW.astype(np.uint16) * 256 + objects(ids_HW)
        save(root / f"v/instances/{t:06d}.png", raw_HW)
        instance.append(np.where(ids_HW == 26, raw_HW, 0))
    return Tree({"labels": "{sequence}/instances/*.png", "encoding": "mapillary"}, label, instance)


def cityscapes_instance(root: Path) -> Tree:
    """`_gtFine_instanceIds.png`: class x 1000 + number, the class alone for stuff and for groups."""
    label, instance = [scene(t) for t in range(FRAMES)], []
    for t, ids_HW in enumerate(label):
        number_HW = objects(ids_HW)
        raw_HW = np.where(number_HW == 1, np.uint16(26000), ids_HW.astype(np.uint16))  # the right car is a group
        save(root / f"aachen/aachen_000000_{t:06d}_gtFine_instanceIds.png", raw_HW)
        instance.append(np.where(number_HW == 1, 26000, 0))
    source = {"labels": "{sequence}/*_gtFine_instanceIds.png", "encoding": "cityscapes-instance"}
    return Tree(source, label, instance)


def voc_index(root: Path) -> Tree:
    """Indexed PNGs whose palette is arbitrary: the spec says that indices are ids."""
    label = [scene(t) for t in range(FRAMES)]
    for t, ids_HW in enumerate(label):
        image = Image.fromarray(ids_HW)
        image.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
        save(root / f"a/labels/{t:06d}.png", image)
    return Tree({"encoding": "index"}, label)


def cityscapes_palette(root: Path) -> Tree:
    """Indexed PNGs with the label space's palette; instances in that of PASCAL VOC, as DAVIS has them."""
    label = [scene(t) for t in range(FRAMES)]
    voc = [sum(((i >> 3 * k + c) & 1) << (7 - k) for k in range(3)) for i in range(256) for c in range(3)]
    for t, ids_HW in enumerate(label):
        image = Image.fromarray(ids_HW)
        image.putpalette([v for i in range(256) for v in (CITY.by_id[i].color if i in CITY.ids else (9, 8, 7))])
        save(root / f"a/labels/{t:06d}.png", image)
        numbers = Image.fromarray(objects(ids_HW).astype(np.uint8))
        numbers.putpalette(voc)
        save(root / f"a/instances/{t:06d}.png", numbers)
    return Tree({"instances": "{sequence}/instances/*.png"}, label, [objects(ids_HW) for ids_HW in label])


LAYOUTS = [
    *(
        carla,
        carla_instances,
        airsim,
        kitti_step,
        colours_of_space,
        camvid,
        synthia,
        synthia_labels,
        replicator,
        roboflow,
    ),
    *(coco_panoptic, mapillary, cityscapes_instance, voc_index, cityscapes_palette),
]


@pytest.mark.parametrize("build", LAYOUTS, ids=lambda build: build.__name__)
def test_what_is_fetched_is_what_the_files_say(build: Callable[[Path], Tree], local_run: LocalRun) -> None:
    root = local_run.root / "tree"
    root.mkdir()
    tree = build(root)
    source = {"uri": str(root), "instances": None} | tree.source
    prepared = local_run.prepare(source=source, generator={"size": list(SIZE)})
    maps = [fetch_clip(clip, prepared.job) for clip in clips_of(prepared)]
    (label_THW,) = [m.label_THW for m in maps]
    assert np.array_equal(label_THW, np.stack(tree.label))
    (instance_THW,) = [m.instance_THW for m in maps]
    if tree.instance is None:
        assert instance_THW is None
    else:
        assert instance_THW is not None and np.array_equal(instance_THW, np.stack(tree.instance))
    again = local_run.prepare(source=source, generator={"size": list(SIZE)})
    assert again.catalog.read == 0  # an index kept beside the dataset knows the files under this encoding


def clips_of(prepared: Any) -> Iterator[Any]:
    for shard in prepared.plan.shards:
        yield from shard.clips


def problems_of(local_run: LocalRun, **source: Any) -> tuple[str, ...]:
    root = local_run.root / "tree"
    return prepare(local_run.spec(source={"uri": str(root), "instances": None} | source), dry=True).catalog.problems


def test_a_palette_that_contradicts_the_label_space_is_refused(local_run: LocalRun) -> None:
    image = Image.fromarray(scene(0))
    colours = [CITY.by_id[i].color if i in CITY.ids else (9, 8, 7) for i in range(256)]
    image.putpalette([v for rgb in reversed(colours) for v in rgb])
    save(local_run.root / "tree/a/labels/000000.png", image)
    (problem,) = problems_of(local_run)
    assert "palette contradicts label space 'cityscapes': index 7 is shown as (9, 8, 7), but is 'road'" in problem
    assert problems_of(local_run, encoding="index") == ()  # the spec says so
    save(local_run.root / "tree/a/labels/000001.png", voc_like(scene(1)))
    (problem,) = problems_of(local_run, encoding="index")
    assert "palettes change" in problem and "a/labels/000000.png" in problem and "a/labels/000001.png" in problem


def test_palettes_that_mean_indices_here_and_greys_there_are_refused(local_run: LocalRun) -> None:
    save(local_run.root / "tree/a/labels/000000.png", coloured(scene(0)))
    grey = Image.fromarray((scene(1) == 7).astype(np.uint8))
    grey.putpalette([23] * 3 + [7] * 3)
    save(local_run.root / "tree/a/labels/000001.png", grey)
    (problem,) = problems_of(local_run)
    assert "a/labels/000000.png has a coloured palette, a/labels/000001.png a grey palette" in problem


def voc_like(ids_HW: Ids) -> Image.Image:
    image = Image.fromarray(ids_HW)
    image.putpalette([sum(((i >> 3 * k + c) & 1) << (7 - k) for k in range(3)) for i in range(256) for c in range(3)])
    return image


def coloured(ids_HW: Ids) -> Image.Image:
    image = Image.fromarray(ids_HW)
    image.putpalette([v for i in range(256) for v in (CITY.by_id[i].color if i in CITY.ids else (9, 8, 7))])
    return image


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (carla, "set source.encoding: {channel: red}"),
        (kitti_step, "set source.encoding: kitti-step"),
        (colours_of_space, "these are the colours of label space 'cityscapes': set source.encoding: colours"),
        (coco_panoptic, "{coco-panoptic: FILE}"),
    ],
)
def test_a_colour_picture_is_refused_with_the_encoding_that_fits(
    tree: Callable[[Path], Tree], words: str, local_run: LocalRun
) -> None:
    (local_run.root / "tree").mkdir()
    built = tree(local_run.root / "tree")
    found = problems_of(local_run, labels=built.source.get("labels", "{sequence}/labels/*.png"))
    assert len(found) == FRAMES and all(words in problem for problem in found)


def test_only_other_encodings_than_ids_are_part_of_ids(local_run: LocalRun) -> None:
    """A source of plain ids keeps its clips' ids; the same pictures read otherwise are other clips."""
    (local_run.root / "tree").mkdir()
    source = carla(local_run.root / "tree").source | {"uri": str(local_run.root / "tree"), "instances": None}
    ids = [
        next(clips_of(local_run.prepare(source=source | {"encoding": {"channel": band}, "remap": remap}))).clip_id
        for band, remap in (("red", {}), ("red", {}), ("green", {0: 0}))
    ]
    assert ids[0] == ids[1] != ids[2]
