"""What the columns of a dataset's tables may hold. `flowreel.pipeline.dataset.checked_table` holds every file that is
read to these rules."""

from dataclasses import dataclass

from flowreel.schemas.numbers import MOST

HUGE = 2**50  # bytes or pixels: nothing has more
ID = r"[0-9a-f]{32}"
DIGEST = r"[0-9a-f]{16,64}"
SHA256 = r"[0-9a-f]{64}"
DATA_FILE = rf"data/{ID}\.parquet"


@dataclass(frozen=True)
class Rule:
    """What one column may hold. Lists are held to it value by value."""

    low: float | None = None  # least number
    high: float | None = None
    pattern: str = ""  # that the whole of a text matches
    shown: str = ""  # the pattern, as people read it
    null: bool = False  # values may be missing
    optional: bool = False  # an older release may lack the column


_COUNT = Rule(0, MOST)
_MEASURE = Rule(-(10**9), 10**9, null=True)  # far beyond what any measure gives
_NEW_MEASURE = Rule(-(10**9), 10**9, null=True, optional=True)
_TIME = Rule(-(10**12), 10**12)  # seconds
_CLIP = Rule(pattern=ID, shown="32 hex digits")
_SHARD = Rule(pattern=DATA_FILE, shown="data/<32 hex digits>.parquet")
_TEXT = Rule()
_NULL_TEXT = Rule(null=True)
_DIGEST = Rule(pattern=DIGEST, shown="hex digits")
_SIDE = Rule(1, 2**16)
_NEW = ("flicker", "drift", "sharpness", "contrast", "saturation", "label_edges", "frozen")

MANIFEST_RULES = {
    "clip_id": _CLIP, "sequence_id": _TEXT, "variant": _COUNT, "style": _TEXT, "edits": _TEXT, "frame_index": _COUNT,
    "source_frame": _TEXT, "timestamp_s": _TIME, "split": _TEXT, "width": _SIDE, "height": _SIDE,
    "label_space": _TEXT, "class_ids": Rule(0, 65_535), "class_pixels": Rule(1, HUGE), "num_instances": _COUNT,
    "warp_error": _MEASURE, "label_agreement": _MEASURE, "shard": _SHARD, "row_group": _COUNT, "row": _COUNT,
    "generator": _DIGEST, **dict.fromkeys(_NEW, _NEW_MEASURE), "phash": Rule(null=True, optional=True),
}  # fmt: skip
SHARDS_RULES = {"path": _SHARD, "size": Rule(1, HUGE), "sha256": Rule(pattern=SHA256, shown="64 hex digits")}
FAILURES_RULES = {
    "clip_id": _CLIP, "sequence_id": _TEXT, "variant": _COUNT, "start": _COUNT, "frames": _COUNT,
    "kind": Rule(pattern="failed|rejected", shown="failed or rejected"), "reason": _TEXT, "error": _NULL_TEXT,
    "attempts": _COUNT, "thumbnail": Rule(null=True, optional=True),
}  # fmt: skip
_OF_CLIP = {
    "clip_id": _CLIP, "sequence_id": _TEXT, "variant": _COUNT, "start": _COUNT, "frames": Rule(1, MOST), "split": _TEXT,
    "labels": _DIGEST, "instances": Rule(pattern=DIGEST, shown="hex digits", null=True), "look": _DIGEST,
    "label_space": _DIGEST, "weights": _DIGEST, "settings": _DIGEST, "render_format": Rule(1, MOST),
    "flowreel": _TEXT,
}  # fmt: skip
LINEAGE_RULES = {**_OF_CLIP, "since": Rule(1, MOST)}
# Nested columns are looked into where they are read.
SOURCES_RULES = {
    **_OF_CLIP, "label_files": _TEXT, "instance_files": _TEXT, "exemplar": Rule(null=True),
    "donors": Rule(null=True, optional=True),
}  # fmt: skip
DATA_RULES = {
    "clip_id": _CLIP, "sequence_id": _TEXT, "variant": _COUNT, "frame_index": _COUNT, "split": _TEXT,
    "timestamp_s": _TIME, "image": _TEXT, "label": _TEXT,
    **dict.fromkeys(("instance", "flow", "depth", "keypoints"), Rule(null=True, optional=True)),
}  # fmt: skip
