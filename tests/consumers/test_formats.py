"""Exports and descriptions of 300 frames, checked with the formats' own tools."""

import contextlib
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flowreel.pipeline.reader.dataset import ClipData, Dataset

FRAMES = 300
SPLITS = ("train", "val")


@pytest.fixture(scope="module")
def clips(dataset: Dataset) -> dict[str, ClipData]:
    return {clip.clip_id: clip for clip in dataset.clips()}


@pytest.fixture(scope="module")
def counts(dataset: Dataset) -> Counter[str]:
    """Frames per split."""
    return Counter(dataset.manifest(["split"])["split"].to_pylist())


def test_cityscapes_scripts_score_the_labels_against_themselves(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)  # gone from NumPy 2.4
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluation

    labels = sorted(map(str, (place / "EXPORT/cityscapes/gtFine").rglob("*_gtFine_labelIds.png")))
    assert len(labels) == FRAMES
    evaluation.args.quiet, evaluation.args.JSONOutput = True, False
    scores = evaluation.evaluateImgLists(labels, labels, evaluation.args)
    assert scores["averageScoreClasses"] == scores["averageScoreInstClasses"] == 1


def test_cityscapes_scripts_know_the_instances(place: Path) -> None:
    from cityscapesscripts.evaluation.instances2dict import instances2dict

    files = sorted(map(str, (place / "EXPORT/cityscapes/gtFine/val").rglob("*_instanceIds.png")))
    with contextlib.redirect_stdout(io.StringIO()):
        found = instances2dict(files, verbose=False)
    assert sum(len(frame["car"]) for frame in found.values()) > 0
    assert all(car["instID"] // 1000 in (0, 26) for frame in found.values() for car in frame["car"])


def test_torchvision_reads_the_cityscapes_folders(place: Path, counts: Counter[str]) -> None:
    try:
        from torchvision.datasets import Cityscapes
    except (ImportError, RuntimeError) as error:  # RuntimeError: made for another build of PyTorch
        pytest.skip(f"torchvision does not load: {error}")
    root = str(place / "EXPORT/cityscapes")
    for split in SPLITS:
        found = Cityscapes(root, split=split, mode="fine", target_type=["semantic", "instance", "color"])
        assert len(found) == counts[split]
        image, (label, instance, color) = found[0]
        assert image.size == label.size == instance.size == color.size == (64, 32)


def test_pycocotools_score_the_masks_against_themselves(place: Path, counts: Counter[str]) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(place / "EXPORT/coco-panoptic/annotations/instances_val.json"))
        assert len(truth.imgs) == counts["val"]
        found = [a for a in truth.dataset["annotations"] if not a["iscrowd"]]
        assert found and all(truth.annToMask(a).sum() == a["area"] for a in found)
        keys = ("image_id", "category_id")
        results = [{key: a[key] for key in keys} | {"segmentation": truth.annToRLE(a), "score": 1.0} for a in found]
        judged = COCOeval(truth, truth.loadRes(results), "segm")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    assert judged.stats[0] == pytest.approx(1)


@pytest.mark.parametrize("split", SPLITS)
def test_panopticapi_scores_the_segments_against_themselves(place: Path, split: str) -> None:
    from panopticapi.evaluation import pq_compute

    root = place / "EXPORT/coco-panoptic/annotations"
    file, folder = str(root / f"panoptic_{split}.json"), str(root / f"panoptic_{split}")
    with contextlib.redirect_stdout(io.StringIO()):
        assert pq_compute(file, file, folder, folder)["All"]["pq"] == 1


def test_webdataset_reads_every_frame_back(place: Path, clips: dict[str, ClipData]) -> None:
    import webdataset

    def picture(key: str, data: bytes) -> Any:
        return np.asarray(Image.open(io.BytesIO(data))) if key.endswith(("jpg", "png")) else None

    tars = sorted(map(str, (place / "EXPORT/webdataset").glob("*.tar")))
    seen = 0
    for sample in webdataset.WebDataset(tars, shardshuffle=False).decode(picture):
        clip, t = clips[sample["json"]["clip_id"]], sample["json"]["frame_index"]
        assert clip.instance_THW is not None
        np.testing.assert_array_equal(sample["label.png"], clip.label_THW[t])
        np.testing.assert_array_equal(sample["instance.png"], clip.instance_THW[t])
        np.testing.assert_array_equal(sample["image.jpg"], clip.image_THW3[t])
        seen += 1
    assert seen == FRAMES


def test_mlcroissant_finds_nothing_wrong(place: Path) -> None:
    import mlcroissant

    described = mlcroissant.Dataset(str(place / "DATASET/versions/000001/croissant.json"))
    assert not described.metadata.ctx.issues.errors
    records = list(described.records("frames"))
    assert len(records) == FRAMES
    assert len(records[0]["frames/class_ids"]) == len(records[0]["frames/class_pixels"])


def test_the_hub_reads_the_card(place: Path) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(place / "DATASET/versions/000001/README.md")
    data = card.data.to_dict()
    assert (data["license"], [c["config_name"] for c in data["configs"]]) == ("unknown", ["frames", "manifest"])
    assert data["provenance"]["version"] == 1
