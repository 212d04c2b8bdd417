"""Sources, versions and data files that are there in name only: what planning and publishing take, without pixels."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from fsspec.spec import AbstractFileSystem

from flowreel.pipeline.dataset.data_file import describe, pack, path_of
from flowreel.pipeline.identity import to_hex
from flowreel.pipeline.sources.file_index import INDEX, keys_of
from flowreel.schemas.lineage import SOURCES
from flowreel.schemas.manifest import MANIFEST, QUALITY
from flowreel.schemas.outcome import DataFile
from flowreel.schemas.sequence import Sequences
from flowreel.schemas.shards import Shards

LABELS = "{sequence}/labels/*.png"
FILE_BYTES, TAG = 3000, "0123456789abcdef0123456789abcdef"
SEQUENCES_PER_FOLDER = 1000
CLASSES = list(range(7, 22))  # in every frame


def sequence_ids(count: int) -> list[str]:
    return [f"city_{i // SEQUENCES_PER_FOLDER:05d}/drive_{i:07d}" for i in range(count)]


def synthetic_sequences(count: int, frames: int) -> Sequences:
    """``count`` sequences of ``frames`` frames, no two with the same labels."""
    names = pa.array([f"{t:06d}" for t in range(frames)], pa.large_string())
    return Sequences(
        LABELS,
        None,
        pa.array(sequence_ids(count), pa.string()),
        np.tile(np.array([[512, 256]], np.int32), (count, 1)),
        np.arange(0, count * frames + 1, frames),
        names.take(pa.array(np.tile(np.arange(frames), count))),
        _digests(count * frames),
        None,
    )


def _digests(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, 32), np.uint8)


class SyntheticBucket(AbstractFileSystem):  # type: ignore[misc]
    """``synthetic://SxF``: S sequences of F label maps, as an object store lists them; nothing can be read."""

    protocol = "synthetic"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        place = self._strip_protocol(path)
        root, *parts = place.split("/")
        count, _frames = _shape(root)
        if not parts:
            names = [f"city_{i:05d}" for i in range(-(-count // SEQUENCES_PER_FOLDER))]
        elif len(parts) == 1:
            names = [f"drive_{i:07d}" for i in _drives(count, parts)]
        elif len(parts) == 2:
            names = ["labels"]
        else:
            return list(self.find(path).values())
        return [{"name": f"{place}/{name}", "size": 0, "type": "directory"} for name in names]

    def find(self, path: str, **_: Any) -> dict[str, dict[str, Any]]:
        root, *parts = self._strip_protocol(path).split("/")
        count, frames = _shape(root)
        found = {}
        for i in _drives(count, parts):
            for t in range(frames):
                name = f"{root}/city_{i // SEQUENCES_PER_FOLDER:05d}/drive_{i:07d}/labels/{t:06d}.png"
                found[name] = {"name": name, "size": FILE_BYTES, "type": "file", "ETag": f'"{TAG}"'}
        return found

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": self._strip_protocol(path), "size": 0, "type": "directory"}


def _drives(count: int, parts: list[str]) -> range:
    """Numbers of the sequences below a folder."""
    if len(parts) > 1:
        drive = int(parts[1].removeprefix("drive_"))
        return range(drive, drive + 1)
    first = int(parts[0].removeprefix("city_")) * SEQUENCES_PER_FOLDER if parts else 0
    return range(first, min(first + SEQUENCES_PER_FOLDER if parts else count, count))


def _shape(root: str) -> tuple[int, int]:
    count, _, frames = root.partition("x")
    return int(count), int(frames)


fsspec.register_implementation("synthetic", SyntheticBucket, clobber=True)


def synthetic_index(uri: str, count: int, frames: int) -> pa.Table:
    """What a dataset knows of all files of ``synthetic://SxF`` once they have been read."""
    total = count * frames
    paths = [f"{s}/labels/{t:06d}.png" for s in sequence_ids(count) for t in range(frames)]
    files = pa.table({"path": paths, "size": np.full(total, FILE_BYTES), "tag": pa.repeat(TAG, total)})
    lists = np.arange(0, total * len(CLASSES) + 1, len(CLASSES), dtype=np.int32)
    ids = pa.ListArray.from_arrays(lists, np.tile(np.array(CLASSES, np.int32), total), INDEX.field("ids").type)
    counts = pa.ListArray.from_arrays(
        lists, np.full(total * len(CLASSES), 512 * 256 // len(CLASSES)), INDEX.field("counts").type
    )
    digest = pa.Array.from_buffers(INDEX.field("digest").type, total, [None, pa.py_buffer(_digests(total))])
    size = [np.full(total, side, np.int32) for side in (512, 256)]
    return pa.table([keys_of(uri, files, "label"), digest, *size, ids, counts, pa.repeat("", total)], schema=INDEX)


def manifest_rows_of(shards: Shards, rows: range) -> pa.Table:
    """Manifest rows of some clips of a plan, all of one length."""
    frames = int(shards.frames_C[rows[0]])
    clip, frame = np.repeat(np.arange(rows.start, rows.stop), frames), np.tile(np.arange(frames), len(rows))
    total = len(clip)
    sequence = shards.sequences.ids.take(pa.array(shards.sequence_C[clip]))
    names = pa.array([f"/labels/{t:06d}.png" for t in range(int(shards.start_C[rows].max()) + frames)])
    start = shards.start_C[clip] + frame
    shard_of = np.searchsorted(shards.first_M1, clip, side="right") - 1
    lists = np.arange(0, total * len(CLASSES) + 1, len(CLASSES), dtype=np.int32)
    columns = {
        "clip_id": to_hex(shards.clip_C16[clip]),
        "sequence_id": sequence,
        "variant": shards.variant_C[clip],
        "style": pa.repeat("generate", total),
        "edits": pa.ListArray.from_arrays(np.zeros(total + 1, np.int32), pa.array([], pa.string())),
        "frame_index": frame.astype(np.int32),
        "source_frame": pc.binary_join_element_wise(sequence, names.take(pa.array(start)), ""),
        "timestamp_s": start / 17.0,
        "split": shards.splits.take(pa.array(shards.sequence_C[clip])).cast(pa.string()),
        "width": np.full(total, 512, np.int32),
        "height": np.full(total, 256, np.int32),
        "label_space": pa.repeat("cityscapes", total),
        "class_ids": pa.ListArray.from_arrays(lists, np.tile(np.array(CLASSES, np.int32), total)),
        "class_pixels": pa.ListArray.from_arrays(lists, np.full(total * len(CLASSES), 8738)),
        "num_instances": np.full(total, 3, np.int32),
        **{name: pa.array(np.full(total, 0.05)).cast(MANIFEST.field(name).type, safe=False) for name in QUALITY},
        "phash": pa.array(np.arange(total)).cast(MANIFEST.field("phash").type),
        "shard": _joined("data/", to_hex(shards.id_M16[shard_of]), ".parquet"),
        "row_group": (clip - shards.first_M1[shard_of]).astype(np.int32),
        "row": frame.astype(np.int32),
        "generator": pa.repeat("0" * 32, total),
    }
    return pa.table([columns[name] for name in MANIFEST.names], schema=MANIFEST)


def _joined(before: str, middle: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(before, middle, after, "")


def write_data_files(folder: Path, shards: Shards) -> Iterator[DataFile]:
    """One file per shard with a footer as real ones have it, and no media."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for m, name in enumerate(to_hex(shards.id_M16).to_pylist()):
        clips = range(int(shards.first_M1[m]), int(shards.first_M1[m + 1]))
        rows = [manifest_rows_of(shards, range(c, c + 1)) for c in clips]
        data = pack(name, [], rows, _sources(rows))
        (folder / path_of(name)).write_bytes(data)
        yield describe(name, data)


def _sources(clips: list[pa.Table]) -> pa.Table:
    """What clips were rendered from, given their manifest rows."""
    rows = []
    for clip in clips:
        first = clip.slice(0, 1).to_pylist()[0]
        digests = dict.fromkeys(("labels", "look", "label_space", "weights", "settings"), TAG)
        files = [
            {"path": path, "sha256": hashlib.sha256(path.encode()).hexdigest()}
            for path in clip["source_frame"].to_pylist()
        ]
        place = {"start": 0, "frames": len(clip), "render_format": 1, "flowreel": "0", "label_files": files}
        rows.append(first | digests | place)
    return pa.Table.from_pylist(rows, schema=SOURCES)
