"""`flowreel render` on real sequences, on disk and on S3, read back with plain pyarrow, numpy and Pillow."""

import io
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from .conftest import Flowreel, write_spec

SIZE = (64, 32)
CAMVID = {
    0: "sky",
    1: "building",
    2: "pole",
    3: "road",
    4: "sidewalk",
    5: 21,
    6: 20,
    7: 13,
    8: 26,
    9: 24,
    10: 25,
    11: 0,
}
CAMVID_IDS = np.array([23, 11, 17, 7, 8, 21, 20, 13, 26, 24, 25, 0], np.uint8)


def nearest(path: Path) -> NDArray[Any]:
    """A source map at the rendered size."""
    return np.asarray(Image.open(path).resize(SIZE, Image.Resampling.NEAREST))


def frames_of(dataset: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(manifest row, data row) of every frame of version 1, and that each row group holds one clip in frame order."""
    fs, root = fsspec.core.url_to_fs(dataset)
    with fs.open(f"{root}/versions/000001/manifest.parquet") as file:
        manifest = pq.read_table(file).to_pylist()
    pairs = []
    for path in sorted({row["shard"] for row in manifest}):
        with fs.open(f"{root}/{path}") as file:
            data = pq.ParquetFile(file)
            groups = [data.read_row_group(i).to_pylist() for i in range(data.num_row_groups)]
        for group in groups:
            assert len({row["clip_id"] for row in group}) == 1
            assert [row["frame_index"] for row in group] == list(range(len(group)))
        assert len({group[0]["clip_id"] for group in groups}) == len(groups)
        pairs += [(m, groups[m["row_group"]][m["row"]]) for m in manifest if m["shard"] == path]
    return pairs


def check_dataset(dataset: str, source: Path, table: NDArray[np.uint8], frames: int) -> None:
    """Every frame once; every label and instance map the bits of its source."""
    pairs = frames_of(dataset)
    assert len({(m["sequence_id"], m["source_frame"]) for m, _ in pairs}) == len(pairs) == frames
    for m, row in pairs:
        assert (m["clip_id"], m["frame_index"]) == (row["clip_id"], row["frame_index"])
        expected = table[nearest(source / m["source_frame"])]
        label = np.asarray(Image.open(io.BytesIO(row["label"]["bytes"])))
        assert label.dtype == np.uint8
        np.testing.assert_array_equal(label, expected)
        ids, pixels = np.unique(expected, return_counts=True)
        assert (m["class_ids"], m["class_pixels"]) == (ids.tolist(), pixels.tolist())
        instance = source / m["source_frame"].replace("labels", "instances")
        assert (row["instance"] is not None) == instance.exists()
        if row["instance"]:
            published = np.asarray(Image.open(io.BytesIO(row["instance"]["bytes"])))
            expected = nearest(instance)
            np.testing.assert_array_equal(published, np.where(expected == 255, 0, expected))  # 0: no instance
        image = Image.open(io.BytesIO(row["image"]["bytes"]))
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", SIZE)
        assert (m["warp_error"] is None) == (m["frame_index"] == 0)


def test_cityscapes_on_disk(flowreel: Flowreel, shared_data: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    source, dataset = shared_data / "cityscapes-sample", tmp_path / "dataset"
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(dataset)},
        source={"uri": str(source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint)},
        clips={"frames": 20},
    )
    planned = flowreel("plan", spec)
    assert planned.code == 0, planned.err
    assert "10 clips, 150 frames" in planned.out
    assert not dataset.exists()  # a dry run leaves nothing behind

    first = flowreel("render", spec)
    assert first.code == 0, first.err
    assert "published version 1" in first.out
    check_dataset(str(dataset), source, np.arange(256, dtype=np.uint8), frames=150)

    before = {p: p.stat().st_mtime_ns for p in dataset.rglob("*.parquet")}
    again = flowreel("render", spec)
    assert again.code == 0, again.err
    assert "nothing changed" in again.out
    assert "0 files read" in again.err
    assert {p: p.stat().st_mtime_ns for p in dataset.rglob("*.parquet")} == before

    assert flowreel("verify", dataset).code == 0
    status = flowreel("status", dataset)
    assert "version 1" in status.out
    assert "unfinished" not in status.out
    flip_one_byte(sorted(dataset.glob("data/*.parquet"))[0])
    damaged = flowreel("verify", f"{dataset}@1")
    assert damaged.code == 1
    assert "content changed" in damaged.err
    assert sorted(dataset.glob("data/*.parquet"))[0].name in damaged.err


def test_camvid_on_disk_and_s3(
    flowreel: Flowreel, shared_data: Path, tiny_checkpoint: Path, tmp_path: Path, s3_env: dict[str, Any]
) -> None:
    """The two commands differ in their URIs only, and so do the datasets: the same bytes under the same names."""
    source = shared_data / "camvid-0016E5"
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(tmp_path / "dataset"), "name": "camvid"},
        source={"uri": str(source), "remap": CAMVID, "fps": 15},
        generator={"checkpoint": str(tiny_checkpoint)},
    )
    local = flowreel("render", spec)
    assert local.code == 0, local.err
    check_dataset(str(tmp_path / "dataset"), source, CAMVID_IDS, frames=101)

    bucket = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    bucket.mkdir("real-data")
    bucket.put(str(source) + "/", "real-data/sequences/", recursive=True)
    on_s3 = ("--set", "source.uri=s3://real-data/sequences", "--set", "dataset.uri=s3://real-data/dataset")
    remote = flowreel("render", spec, *on_s3)
    assert remote.code == 0, remote.err
    check_dataset("s3://real-data/dataset", source, CAMVID_IDS, frames=101)
    assert flowreel("verify", "s3://real-data/dataset").code == 0
    assert "nothing changed" in flowreel("render", spec, *on_s3).out

    files = [*(tmp_path / "dataset").glob("data/*"), tmp_path / "dataset/versions/000001/manifest.parquet"]
    assert len(files) > 2
    for file in files:
        name = file.relative_to(tmp_path / "dataset").as_posix()
        assert bucket.cat_file(f"real-data/dataset/{name}") == file.read_bytes(), name


def flip_one_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_drop_gives_no_output_for_the_first_window(
    flowreel: Flowreel, shared_data: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """30 frames give 28 images, as the original does; the exemplar is never published."""
    source = shared_data / "cityscapes-sample"
    exemplar = source / "seq0001" / "images" / "000000.jpg"
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(tmp_path / "dataset")},
        source={"uri": str(source), "labels": "{sequence}/labels/*.png"},
        generator={"checkpoint": str(tiny_checkpoint)},
        clips={"frames": 0, "lead_in": "drop"},
    )
    ended = flowreel("render", spec, "--set", f"variants=[{{style: {exemplar}}}]")
    assert ended.code == 0, ended.err
    pairs = frames_of(str(tmp_path / "dataset"))
    assert len(pairs) == 5 * 28
    assert {m["source_frame"].rsplit("/", 1)[1] for m, _ in pairs if m["frame_index"] == 0} == {"000002.png"}
    assert {m["style"] for m, _ in pairs} == {str(exemplar)}
