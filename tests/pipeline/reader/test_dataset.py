"""Reading versions: filters, and random access by ranged reads."""

import io
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flowreel.pipeline.reader.dataset import open_dataset
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import IntegrityError, UsageError


def test_clips_are_those_of_the_data_files(published: Path) -> None:
    dataset = open_dataset(str(published))
    assert (len(dataset), dataset.frames) == (4, 10)
    manifest = pq.read_table(published / "versions/000001/manifest.parquet")
    heads = manifest.filter(pc.equal(manifest["row"], 0)).to_pylist()
    for found, head in zip(dataset.clips(), heads, strict=True):
        rows = pq.ParquetFile(published / head["shard"]).read_row_group(head["row_group"]).to_pylist()
        assert (found.clip_id, found.sequence_id, found.variant) == (head["clip_id"], head["sequence_id"], 0)
        for t, row in enumerate(rows):
            np.testing.assert_array_equal(found.image_THW3[t], Image.open(io.BytesIO(row["image"]["bytes"])))
            np.testing.assert_array_equal(found.label_THW[t], Image.open(io.BytesIO(row["label"]["bytes"])))


@pytest.mark.parametrize(
    "where", [{"sequence_id": "seq_01"}, pc.field("sequence_id") == "seq_01"], ids=["dict", "expression"]
)
def test_a_filter_leaves_its_clips(published: Path, where: object) -> None:
    dataset = open_dataset(f"{published}@1", where=where)  # type: ignore[arg-type]
    assert (len(dataset), dataset.frames) == (2, 5)
    assert {clip.sequence_id for clip in dataset.clips()} == {"seq_01"}


def test_classes_are_filtered_by_their_pixels(published: Path) -> None:
    rows = open_dataset(str(published)).manifest(["clip_id", "frame_index", "class_ids", "class_pixels"]).to_pylist()
    cars = [dict(zip(r["class_ids"], r["class_pixels"], strict=True)).get(26, 0) for r in rows]
    least = sorted(cars)[5]
    assert least > min(cars)
    dataset = open_dataset(str(published), where={"classes": {"car": least}, "variant": [0]})
    wanted = [(r["clip_id"], r["frame_index"]) for r, found in zip(rows, cars, strict=True) if found >= least]
    got = dataset.manifest(["clip_id", "frame_index"]).to_pylist()
    assert [(r["clip_id"], r["frame_index"]) for r in got] == wanted
    clips = [dataset.rows(i, ["clip_id", "frame_index"]).to_pylist() for i in range(len(dataset))]
    assert [(r["clip_id"], r["frame_index"]) for rows in clips for r in rows] == wanted


def test_nothing_may_pass(published: Path) -> None:
    dataset = open_dataset(str(published), where={"split": "test"})
    assert (len(dataset), dataset.frames, list(dataset.clips())) == (0, 0, [])


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ({"sequence": "seq_01"}, "'sequence' is none of clip_id"),
        ({"class_ids": 3}, "'class_ids' is none of"),
        ({"classes": {"carr": 1}}, "'carr' is no class of label space 'cityscapes'"),
        (pc.field("sequence") == "a", "does not fit the columns"),
    ],
)
def test_wrong_filters_are_refused(published: Path, where: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        open_dataset(str(published), where=where)  # type: ignore[arg-type]


def test_two_numbers_for_one_version_are_refused(published: Path) -> None:
    with pytest.raises(UsageError, match="names version 1, and version=2 was given"):
        open_dataset(f"{published}@1", version=2)


def test_a_clip_is_one_request(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = pickle.loads(pickle.dumps(open_dataset(str(published))))
    dataset.rows(0)  # reads the footer, which holds for the next clip of the file
    requests = []
    plain = Store.read_range
    monkeypatch.setattr(Store, "info", lambda *_: pytest.fail("asked for a size that shards.parquet says"))
    monkeypatch.setattr(Store, "read_range", lambda *args: requests.append(args[1:]) or plain(*args))
    same_file = [i for i in range(1, 4) if dataset.index.shard_C[i] == dataset.index.shard_C[0]]
    dataset.rows(same_file[0], ["label"])
    assert len(requests) == 1
    path, start, stop = requests[0]
    assert 0 < stop - start < (published / path).stat().st_size / 2


def test_a_cache_serves_when_the_bucket_is_gone(published: Path, tmp_path: Path) -> None:
    copy, cache = tmp_path / "dataset", str(tmp_path / "cache")
    shutil.copytree(published, copy)
    first = open_dataset(str(copy), cache=cache)
    rows = [first.rows(i) for i in range(len(first))]
    second = open_dataset(str(copy), cache=cache)
    shutil.rmtree(copy / "data")
    assert [second.rows(i) for i in range(len(second))] == rows


def test_damage_is_named(published: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dataset"
    shutil.copytree(published, copy)
    dataset = open_dataset(str(copy))
    for file in (copy / "data").iterdir():
        file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(IntegrityError, match=r"\.parquet, row group 0: damaged: .*`flowreel verify`"):
        dataset.clip(0)
