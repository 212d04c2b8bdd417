"""Which pixels show an instance: "no instance" and groups, through rendering and exports."""

import io
import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.dataset.file_check import check_file
from flowreel.pipeline.edits.instances import count_instances, groups, with_one_none
from flowreel.pipeline.export.formats import FORMATS
from flowreel.pipeline.export.run import export
from flowreel.pipeline.reader.dataset import open_dataset
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.label_spaces import BUILT_IN
from tests.support.local_run import LocalRun

Ids = NDArray[np.integer]
CITY = BUILT_IN["cityscapes"]
THINGS = sorted(CITY.things)
SIZE = (64, 32)


def labels(t: int) -> Ids:
    """A road with one car, and a crowd of people that nobody told apart."""
    label_HW = np.full(SIZE[::-1], 7, np.uint8)
    label_HW[10:20, 4 + t : 20 + t], label_HW[10:20, 40:60] = 26, 24
    return label_HW


def cityscapes_ids(label_HW: Ids) -> NDArray[np.uint16]:
    """As `instanceIds.png` has them: class x 1000 + number, and the class alone for stuff and for groups."""
    return np.where(label_HW == 26, 26003, label_HW.astype(np.int64)).astype(np.uint16)


def source(root: Path, kind: str) -> Path:
    for t in range(3):
        label_HW = labels(t)
        instance_HW: Ids = cityscapes_ids(label_HW)
        if kind == "8 bits":
            instance_HW = np.where(label_HW == 26, 3, 255).astype(np.uint8)
        elif kind == "numbered":  # the 24th object of the scene is a group of people, or so it seems
            instance_HW = np.where(label_HW == 26, 1, np.where(label_HW == 24, 24, 0)).astype(np.uint16)
        for role, ids_HW in (("labels", label_HW), ("instances", instance_HW)):
            (root / f"a/{role}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(ids_HW).save(root / f"a/{role}/{t:03d}.png")
    return root


@pytest.mark.parametrize(("kind", "count"), [("cityscapes", 1), ("8 bits", 1), ("numbered", 2)])
def test_one_id_means_no_instance_and_groups_are_none(local_run: LocalRun, kind: str, count: int) -> None:
    root = source(local_run.root / "own", kind)
    prepared = local_run.prepare(source={"uri": str(root)}, split={"train": 1.0})
    version = local_run.publish(prepared)
    assert version.record.no_instance == 0
    assert "0 means no instance" in (local_run.dataset / "versions/000001/README.md").read_text()
    assert set(version.manifest(["num_instances"])["num_instances"].to_pylist()) == {count}
    dataset = open_dataset(str(local_run.dataset))
    (clip,) = dataset.clips()
    assert clip.instance_THW is not None
    for t, published_HW in enumerate(clip.instance_THW):
        label_HW = labels(t)
        car = {"cityscapes": 26003, "8 bits": 3, "numbered": 1}[kind]
        assert (published_HW[label_HW == 26] == car).all()
        assert (published_HW[label_HW == 24] == (24 if kind == "numbered" else 0)).all()
    if kind != "cityscapes":
        return
    places = {form: local_run.root / form for form in ("cityscapes", "coco-panoptic")}
    for form, place in places.items():
        export(dataset, open_store(str(place)), FORMATS[form])
    files = sorted(places["cityscapes"].rglob("*_instanceIds.png"))
    assert len(files) == 3
    for t, file in enumerate(files):
        assert np.array_equal(np.asarray(Image.open(file)), cityscapes_ids(labels(t)))  # as the source had them
    panoptic, boxes = (
        json.loads((places["coco-panoptic"] / f"annotations/{name}_train.json").read_text())["annotations"]
        for name in ("panoptic", "instances")
    )
    crowds = {s["category_id"]: s["iscrowd"] for frame in panoptic for s in frame["segments_info"]}
    assert crowds == {7: 0, 24: 1, 26: 0}
    assert {a["category_id"]: a["iscrowd"] for a in boxes} == {24: 1, 26: 0}


def test_only_sources_that_write_it_otherwise_are_other_clips(local_run: LocalRun) -> None:
    """What plain maps publish stays as it was, so their clips keep their ids."""
    found = {}
    for kind in ("cityscapes", "8 bits", "numbered"):
        root = source(local_run.root / kind.replace(" ", ""), kind)
        found[kind] = local_run.prepare(source={"uri": str(root)}).job.settings.none_rules
    assert found == {"cityscapes": "groups are none", "8 bits": "255 is none", "numbered": ""}
    assert local_run.prepare().job.settings.none_rules == ""


def test_a_remap_does_not_hide_groups(local_run: LocalRun) -> None:
    root = source(local_run.root / "own", "cityscapes")
    remap = {7: "road", 24: "rider", 26: "truck"}
    version = local_run.publish(local_run.prepare(source={"uri": str(root), "remap": remap}))
    assert set(version.manifest(["num_instances"])["num_instances"].to_pylist()) == {1}


def test_groups_need_a_map_that_holds_classes_elsewhere() -> None:
    label_HW = labels(0)
    things = np.isin(label_HW, THINGS)
    city = cityscapes_ids(label_HW)
    assert np.array_equal(groups(label_HW, city, things), label_HW == 24)
    assert not groups(label_HW, city.astype(np.uint8), things).any()  # numbers of 8 bits are not Cityscapes'
    assert not groups(label_HW, np.where(things, city, 0).astype(np.uint16), things).any()
    assert count_instances(label_HW, city, CITY) == 1
    only = np.full((2, 2), 26, np.uint16)
    assert groups(only, only, np.ones((2, 2), np.bool_)).all()
    plain = np.array([[1, 2]], np.uint8)
    assert with_one_none(np.array([[26, 26]]), plain, np.ones((1, 2), np.bool_)) is plain


def test_what_older_releases_published_is_read_the_same() -> None:
    """Their maps of 8 bits hold 255, those of Cityscapes' sources hold groups."""
    label_HW = labels(0)
    assert count_instances(label_HW, np.where(label_HW == 26, 3, 255).astype(np.uint8), CITY) == 1
    sink = io.BytesIO()
    Image.fromarray(cityscapes_ids(label_HW)).save(sink, "PNG")
    assert count_instances(label_HW, np.asarray(Image.open(sink)), CITY) == 1


@pytest.mark.parametrize(("said", "whole"), [(2, True), (1, True), (3, False)])
def test_a_data_file_of_an_older_release_may_count_groups(local_run: LocalRun, said: int, whole: bool) -> None:
    """It holds Cityscapes' ids as they were in the source, and its manifest counts the crowd as an instance."""
    root = source(local_run.root / "own", "cityscapes")
    version = local_run.publish(local_run.prepare(source={"uri": str(root)}))
    rows = pq.read_table(next((local_run.dataset / "data").iterdir()))
    old = [{"path": "0.png", "bytes": encode_ids(cityscapes_ids(labels(t)))} for t in range(3)]
    place = rows.column_names.index("instance")
    rows = rows.set_column(place, rows.schema.field("instance"), pa.array(old, rows.schema.field("instance").type))
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    manifest = version.manifest()
    place = manifest.column_names.index("num_instances")
    counts = pa.array([said] * 3, manifest.schema.field("num_instances").type)
    manifest = manifest.set_column(place, manifest.schema.field("num_instances"), counts)
    with nullcontext() if whole else pytest.raises(IntegrityError, match="1 instances, the manifest says 3"):
        check_file(sink.getvalue(), manifest, CITY)
