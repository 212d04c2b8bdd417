"""Arrow schemas of published tables. Consumers build on these columns."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

_MEASURES = ("flicker", "drift", "sharpness", "contrast", "saturation", "label_edges", "frozen")

MANIFEST = pa.schema(
    [
        ("clip_id", pa.string()),
        ("sequence_id", pa.string()),
        ("variant", pa.int32()),
        ("style", pa.string()),
        ("edits", pa.list_(pa.string())),
        ("frame_index", pa.int32()),
        ("source_frame", pa.string()),
        ("timestamp_s", pa.float64()),
        ("split", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("label_space", pa.string()),
        ("class_ids", pa.list_(pa.int32())),
        ("class_pixels", pa.list_(pa.int64())),
        ("num_instances", pa.int32()),
        ("warp_error", pa.float32()),
        ("label_agreement", pa.float32()),
        ("shard", pa.string()),
        ("row_group", pa.int32()),
        ("row", pa.int32()),
        ("generator", pa.string()),
        *((name, pa.float32()) for name in _MEASURES),
        ("phash", pa.uint64()),  # perceptual hash: few bits differ between pictures that look alike
    ]
)
QUALITY = ("warp_error", "label_agreement", *_MEASURES)  # columns that clips are judged by

FAILURES = pa.schema(
    [
        ("clip_id", pa.string()),
        ("sequence_id", pa.string()),
        ("variant", pa.int32()),
        ("start", pa.int32()),
        ("frames", pa.int32()),
        ("kind", pa.string()),  # failed | rejected
        ("reason", pa.string()),
        ("error", pa.string()),
        ("attempts", pa.int32()),
        ("thumbnail", pa.binary()),  # JPEG of three frames of a rejected clip
    ]
)

_MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
MEDIA_COLUMNS = ("image", "label", "instance", "flow", "depth")
_MEDIA_OF_ALL = MEDIA_COLUMNS[:4]
_KEYS = [
    ("clip_id", pa.string()),
    ("sequence_id", pa.string()),
    ("variant", pa.int32()),
    ("frame_index", pa.int32()),
    ("split", pa.string()),
    ("timestamp_s", pa.float64()),
]


# Columns of data files that only some sources have.
_PERSON = pa.struct(
    [
        ("track", pa.int32()),  # the same person in all frames of a clip; 0 is the main one
        ("points", pa.list_(pa.field("element", pa.float32()))),  # x, y in pixels, visibility of each, as COCO has them
        ("confidence", pa.list_(pa.field("element", pa.float32()))),  # of each point, 0 to 1
    ]
)
_EXTRA = {"depth": _MEDIA, "keypoints": pa.list_(pa.field("element", _PERSON))}


def _hugging_face(extra: Iterable[str]) -> bytes:
    """Describes the columns so that `datasets` decodes the media by itself."""
    features: dict[str, Any] = {
        name: {"dtype": "float64" if kind == pa.float64() else str(kind), "_type": "Value"} for name, kind in _KEYS
    }
    features |= {name: {"_type": "Image"} for name in (*_MEDIA_OF_ALL, *extra) if name in MEDIA_COLUMNS}
    if "keypoints" in extra:
        numbers = [{"dtype": "float32", "_type": "Value"}]
        person = {"track": {"dtype": "int32", "_type": "Value"}, "points": numbers, "confidence": numbers}
        features["keypoints"] = [person]
    return json.dumps({"info": {"features": features}}).encode()


def data_schema(extra: Iterable[str] = ()) -> pa.Schema:
    """Gives the columns of data files, with those of the ``extra`` ones (`depth`, `keypoints`) that a source has."""
    chosen = [name for name in _EXTRA if name in set(extra)]
    columns = [*_KEYS, *((name, _MEDIA) for name in _MEDIA_OF_ALL), *((name, _EXTRA[name]) for name in chosen)]
    return pa.schema(columns, metadata={b"huggingface": _hugging_face(chosen)})


DATA = data_schema()
ALL_COLUMNS = tuple(data_schema(_EXTRA).names)
ROWS_KEY = b"flowreel.manifest"  # footer key of a data file: its manifest rows, so that publishing reads no media

SHARDS = pa.schema([("path", pa.string()), ("size", pa.int64()), ("sha256", pa.string())])


def completed(rows: pa.Table) -> pa.Table:
    """Gives manifest rows all columns of MANIFEST: null in those that an older release did not have."""
    if rows.schema == MANIFEST:
        return rows
    return pa.table(
        [rows[f.name] if f.name in rows.column_names else pa.nulls(len(rows), f.type) for f in MANIFEST],
        schema=MANIFEST,
    )
