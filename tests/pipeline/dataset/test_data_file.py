"""Data files as consumers see them: plain Parquet with exactly the columns that the contract names."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowreel.pipeline.dataset.data_file import EncodedClip, build, clip_sources, manifest_rows, path_of
from flowreel.schemas.lineage import SOURCES
from flowreel.schemas.manifest import completed

MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
DATA_COLUMNS = {
    "clip_id": pa.string(),
    "sequence_id": pa.string(),
    "variant": pa.int32(),
    "frame_index": pa.int32(),
    "split": pa.string(),
    "timestamp_s": pa.float64(),
    "image": MEDIA,
    "label": MEDIA,
    "instance": MEDIA,
    "flow": MEDIA,
}
MANIFEST_COLUMNS = {
    "clip_id": pa.string(),
    "sequence_id": pa.string(),
    "variant": pa.int32(),
    "style": pa.string(),
    "edits": pa.list_(pa.string()),
    "frame_index": pa.int32(),
    "source_frame": pa.string(),
    "timestamp_s": pa.float64(),
    "split": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "label_space": pa.string(),
    "class_ids": pa.list_(pa.int32()),
    "class_pixels": pa.list_(pa.int64()),
    "num_instances": pa.int32(),
    "warp_error": pa.float32(),
    "label_agreement": pa.float32(),
    "shard": pa.string(),
    "row_group": pa.int32(),
    "row": pa.int32(),
    "generator": pa.string(),
    "flicker": pa.float32(),
    "drift": pa.float32(),
    "sharpness": pa.float32(),
    "contrast": pa.float32(),
    "saturation": pa.float32(),
    "label_edges": pa.float32(),
    "frozen": pa.float32(),
    "phash": pa.uint64(),
}


def clip(name: str, frames: int) -> EncodedClip:
    """Made-up content; build does not look into it."""
    keys: list[dict[str, Any]] = [
        {"clip_id": name, "sequence_id": "s", "variant": 1, "frame_index": t, "split": "val", "timestamp_s": t / 17}
        for t in range(frames)
    ]
    rows = [
        key
        | {
            "image": {"bytes": b"\xff\xd8" + bytes([t]) * 50, "path": f"{name}_{t}.jpg"},
            "label": {"bytes": b"\x89PNG" + bytes([t]), "path": f"{name}_{t}_label.png"},
            "instance": None,
            "flow": {"bytes": b"flow", "path": "f.png"} if t else None,
        }
        for t, key in enumerate(keys)
    ]
    facts = {
        "style": "generate", "edits": ["replace a with b"], "source_frame": "s/labels/0.png", "width": 64, "height": 32,
        "label_space": "cityscapes", "class_ids": [7, 26], "class_pixels": [2000, 48], "num_instances": 2,
        "warp_error": None, "label_agreement": None, "generator": "abc", "flicker": None, "drift": 0.0,
        "sharpness": 8.5, "contrast": 0.25, "saturation": 0.125, "label_edges": 2.0, "frozen": None, "phash": 2**64 - 1,
    }  # fmt: skip
    file = {"path": "s/labels/0.png", "sha256": "abc"}
    sources = dict.fromkeys(SOURCES.names) | {
        "clip_id": name, "sequence_id": "s", "variant": 1, "start": 0, "frames": frames, "labels": "digest of labels",
        "label_files": [file] * frames, "instance_files": [None] * frames,
    }  # fmt: skip
    return EncodedClip(name, rows, [key | facts for key in keys], sources)


CLIPS = [clip("one", 3), clip("two", 1), clip("three", 2)]


@pytest.fixture
def data() -> bytes:
    return build("d1", CLIPS)


def test_columns_and_types_are_the_published_ones(data: bytes) -> None:
    schema = pq.read_table(io.BytesIO(data)).schema
    assert dict(zip(schema.names, schema.types, strict=True)) == DATA_COLUMNS
    assert schema.names == list(DATA_COLUMNS)  # in this order


def test_one_row_group_per_clip_with_its_frames_in_order(data: bytes) -> None:
    file = pq.ParquetFile(io.BytesIO(data))
    assert file.num_row_groups == 3
    for group, expected in enumerate(CLIPS):
        assert file.read_row_group(group).to_pylist() == expected.rows


def test_hugging_face_datasets_are_told_what_is_an_image(data: bytes) -> None:
    schema = pq.read_schema(io.BytesIO(data))
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == list(DATA_COLUMNS)
    assert features["frame_index"] == features["variant"] == {"dtype": "int32", "_type": "Value"}
    assert features["clip_id"] == {"dtype": "string", "_type": "Value"}
    assert features["timestamp_s"] == {"dtype": "float64", "_type": "Value"}
    for column in ("image", "label", "instance", "flow"):
        assert features[column] == {"_type": "Image"}


def test_the_footer_holds_the_manifest_rows_with_their_place(data: bytes) -> None:
    rows = manifest_rows(pq.read_metadata(io.BytesIO(data)), "d1.parquet")
    assert dict(zip(rows.schema.names, rows.schema.types, strict=True)) == MANIFEST_COLUMNS
    assert rows.schema.names == list(MANIFEST_COLUMNS)
    assert path_of("d1") == "data/d1.parquet"
    expected = [
        facts | {"shard": "data/d1.parquet", "row_group": group, "row": row}
        for group, made in enumerate(CLIPS)
        for row, facts in enumerate(made.manifest)
    ]
    assert rows.to_pylist() == expected


def test_the_footer_says_what_the_clips_were_rendered_from(data: bytes) -> None:
    found = clip_sources(pq.read_metadata(io.BytesIO(data)), "d1.parquet")
    assert found.schema == SOURCES
    assert found.to_pylist() == [made.sources for made in CLIPS]


def test_the_same_clips_give_the_same_bytes_and_others_do_not(data: bytes) -> None:
    assert build("d1", [clip("one", 3), clip("two", 1), clip("three", 2)]) == data
    assert build("d1", CLIPS[::-1]) != data
    assert build("d1", CLIPS[:2]) != data


def test_media_stand_in_the_file_as_they_are(data: bytes) -> None:
    """Not compressed a second time: a reader can be served from a byte range."""
    assert b"\xff\xd8" + bytes([2]) * 50 in data


def test_a_file_of_someone_else_is_refused() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"clip_id": ["a"]}), sink)
    with pytest.raises(ValueError, match=r"x\.parquet: no Flowreel data file: no 'flowreel\.manifest' in its footer"):
        manifest_rows(pq.read_metadata(io.BytesIO(sink.getvalue())), "x.parquet")


def test_rows_of_an_older_release_get_the_columns_that_it_did_not_have() -> None:
    rows = manifest_rows(pq.read_metadata(io.BytesIO(build("d1", CLIPS))), "d1.parquet")
    old = rows.drop_columns(["frozen", "phash"])
    assert completed(old).schema.names == list(MANIFEST_COLUMNS)
    assert completed(old)["phash"].null_count == len(rows)
    assert completed(rows).equals(rows)
