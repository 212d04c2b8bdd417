"""Exports hold what is published, bit by bit; interrupted ones go on. The formats' own tools read them in
tests/consumers."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from flowreel.pipeline.edits.instances import NO_INSTANCE
from flowreel.pipeline.export.formats import FORMATS
from flowreel.pipeline.export.run import Summary, export
from flowreel.pipeline.export.video import ffv1
from flowreel.pipeline.reader.dataset import ClipData, Dataset, open_dataset
from flowreel.pipeline.storage import TEMPORARY_SUFFIX, Store, open_store
from flowreel.schemas.errors import StorageError, UsageError


@pytest.fixture(scope="module")
def dataset(published: Path) -> Dataset:
    return open_dataset(str(published))


@pytest.fixture(scope="module")
def clips(dataset: Dataset) -> list[ClipData]:
    return list(dataset.clips())


@pytest.fixture(scope="module")
def exported(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("exports")

    def of(form: str) -> Path:
        assert export(dataset, open_store(str(root / form)), FORMATS[form]).frames == 10
        return root / form

    return of


def stored(dataset: Dataset, clip: int, t: int, column: str) -> bytes:
    return dataset.rows(clip, [column])[column][t].as_py()["bytes"]


def read(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file))


def in_sight(clip: ClipData, t: int, dataset: Dataset) -> np.ndarray:
    """Where things have instances."""
    assert clip.instance_THW is not None
    things = np.isin(clip.label_THW[t], list(dataset.label_space.things))
    return things & ~np.isin(clip.instance_THW[t], NO_INSTANCE[clip.instance_THW.dtype])


def test_cityscapes(exported: Callable[[str], Path], dataset: Dataset, clips: list[ClipData]) -> None:
    root = exported("cityscapes")
    assert len(list((root / "leftImg8bit").rglob("*.jpg"))) == 10
    for i, clip in enumerate(clips):
        numbers: dict[tuple[int, int], set[int]] = {}
        city = clip.sequence_id.replace("_", "-")
        for t, label in enumerate(clip.label_THW):
            name = f"train/{city}/{city}_{i:06d}_{t:06d}"
            image = root / f"leftImg8bit/{name}_leftImg8bit.jpg"
            assert image.read_bytes() == stored(dataset, i, t, "image")
            np.testing.assert_array_equal(read(root / f"gtFine/{name}_gtFine_labelIds.png"), label)
            ids, inside = read(root / f"gtFine/{name}_gtFine_instanceIds.png").astype(int), in_sight(clip, t, dataset)
            np.testing.assert_array_equal(ids[~inside], label[~inside])
            np.testing.assert_array_equal(ids[inside] // 1000, label[inside])
            assert clip.instance_THW is not None
            for class_id, instance, found in zip(label[inside], clip.instance_THW[t][inside], ids[inside], strict=True):
                numbers.setdefault((int(class_id), int(instance)), set()).add(int(found))
        assert all(len(found) == 1 for found in numbers.values())  # an instance keeps its number through a clip
        assert len({next(iter(found)) for found in numbers.values()}) == len(numbers) > 0


def test_coco_panoptic(exported: Callable[[str], Path], dataset: Dataset, clips: list[ClipData]) -> None:
    root = exported("coco-panoptic")
    panoptic = json.loads((root / "annotations/panoptic_train.json").read_text())
    instances = json.loads((root / "annotations/instances_train.json").read_text())
    assert [image["id"] for image in panoptic["images"]] == [*range(1, 11)]
    frames = [(clip, i, t) for i, clip in enumerate(clips) for t in range(len(clip.label_THW))]
    for image, annotation, (clip, i, t) in zip(panoptic["images"], panoptic["annotations"], frames, strict=True):
        assert (root / "images/train" / image["file_name"]).read_bytes() == stored(dataset, i, t, "image")
        rgb = read(root / "annotations/panoptic_train" / annotation["file_name"]).astype(int)
        ids = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
        label = np.zeros_like(ids)
        for segment in annotation["segments_info"]:
            label[ids == segment["id"]] = segment["category_id"]
            assert segment["area"] == (ids == segment["id"]).sum()
        np.testing.assert_array_equal(label, clip.label_THW[t])
        whole = np.zeros(ids.shape, bool)
        for found in (a for a in instances["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]):
            whole |= mask(found["segmentation"])
            assert mask(found["segmentation"]).sum() == found["area"]
        np.testing.assert_array_equal(whole, in_sight(clip, t, dataset))


def mask(segmentation: dict[str, list[int]]) -> np.ndarray:
    counts = segmentation["counts"]
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return values.reshape(segmentation["size"], order="F")


def test_webdataset(exported: Callable[[str], Path], dataset: Dataset, clips: list[ClipData]) -> None:
    with tarfile.open(exported("webdataset") / "train-000000.tar") as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert len(files) == 4 * 10  # image, label, instance, json
    for i, clip in enumerate(clips):
        for t in range(len(clip.label_THW)):
            key = f"{clip.clip_id}_{t:06d}"
            assert files[f"{key}.image.jpg"] == stored(dataset, i, t, "image")
            assert files[f"{key}.label.png"] == stored(dataset, i, t, "label")
            assert files[f"{key}.instance.png"] == stored(dataset, i, t, "instance")
            assert json.loads(files[f"{key}.json"])["timestamp_s"] == clip.timestamp_T[t]


def test_video(exported: Callable[[str], Path], clips: list[ClipData]) -> None:
    root = exported("video")
    for i, clip in enumerate(clips):
        name = root / f"train/{clip.sequence_id.replace('_', '-')}_{i:06d}"
        np.testing.assert_array_equal(frames(name.with_suffix(".label.mkv")), clip.label_THW)
        assert clip.instance_THW is not None
        np.testing.assert_array_equal(frames(name.with_suffix(".instance.mkv")), clip.instance_THW)
        seen = frames(name.with_suffix(".mp4"), "rgb24").astype(int)
        assert seen.shape == clip.image_THW3.shape and np.abs(seen - clip.image_THW3).mean() < 16
        assert json.loads(name.with_suffix(".json").read_text())["timestamp_s"] == clip.timestamp_T.tolist()


def frames(file: Path, pixels: str | None = None) -> np.ndarray:
    with av.open(str(file)) as container:
        return np.stack([frame.to_ndarray(format=pixels) for frame in container.decode(video=0)])


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_an_interrupted_export_goes_on(
    form: str, exported: Callable[[str], Path], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, target = contents(exported(form)), open_store(str(tmp_path / "target"))
    plain, writes = Store.write, list[str]()

    def failing(self: Store, path: str, data: bytes) -> None:
        if len(writes) == 4:
            raise StorageError("the disk is full")
        writes.append(path)
        plain(self, path, data)

    monkeypatch.setattr(Store, "write", failing)
    if form != "webdataset":  # which has one tar here: nothing to interrupt
        with pytest.raises(StorageError, match="the disk is full"):
            export(dataset, target, FORMATS[form])
        written = {name for name in contents(tmp_path / "target") if not name.endswith(TEMPORARY_SUFFIX)}
        assert written < whole.keys()
    monkeypatch.setattr(Store, "write", plain)
    export(dataset, target, FORMATS[form])
    assert contents(tmp_path / "target") == whole
    assert export(dataset, target, FORMATS[form]) == Summary(4, 10, *[len(FORMATS[form].units(dataset))] * 2)


def contents(root: Path) -> dict[str, bytes]:
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_a_place_holds_one_export(exported: Callable[[str], Path], dataset: Dataset) -> None:
    store = open_store(str(exported("webdataset")))
    with pytest.raises(UsageError, match="holds an export as webdataset"):
        export(dataset, store, FORMATS["video"])


def test_tars_hold_whole_clips_of_one_split(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowreel.pipeline.export.webdataset.TAR_FRAMES", 5)
    units = FORMATS["webdataset"].units(dataset)
    assert [(unit.name, [*unit.clips]) for unit in units] == [("train-000000", [0, 1]), ("train-000001", [2, 3])]


def test_instance_ids_of_16_bits_come_back() -> None:
    maps = np.random.default_rng(0).integers(0, 65536, (2, 17, 31), dtype=np.uint16)
    with av.open(io.BytesIO(ffv1([*maps], 17))) as container:
        np.testing.assert_array_equal([f.to_ndarray() for f in container.decode(video=0)], maps)
