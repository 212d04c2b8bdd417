"""Checks that a data file holds what the manifest says: keys, order, sizes, class pixels, instances, and that
everything decodes."""

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_flow, decode_ids, decode_image, kind_of
from flowreel.pipeline.dataset.checked_table import reading
from flowreel.pipeline.dataset.row_group import check_group, check_rows
from flowreel.pipeline.edits.instances import count_instances, count_with_groups
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import data_schema

_KEYS = ("clip_id", "sequence_id", "variant", "frame_index", "split", "timestamp_s")
_DECODE: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "image": decode_image,
    "label": decode_ids,
    "instance": decode_ids,
    "depth": decode_ids,
    "flow": lambda data: decode_flow(data)[0],
}
_WHOLE = ("instance", "depth")  # media that all frames of a clip have, or none
_NAME = r"[\w-]+{}"  # of a medium: no folder, and the ending of what it is


def check_file(data: bytes, manifest: pa.Table, space: LabelSpace | None = None) -> None:
    """Checks a data file's bytes against its rows of a manifest. ``space``: also counts instances again.

    Raises IntegrityError at the first difference.
    """
    with reading("data file"):
        file = pq.ParquetFile(io.BytesIO(data))
        if not file.schema_arrow.equals(data_schema(file.schema_arrow.names)):
            raise IntegrityError("columns differ from the published schema")
        for group in sorted(set(manifest["row_group"].to_pylist())):
            check_group(file.metadata, group, "data file")
            wanted = manifest.filter(pc.equal(manifest["row_group"], group)).sort_by("row")
            _check_clip(file.read_row_group(group), wanted, space)


def _check_clip(rows: pa.Table, manifest: pa.Table, space: LabelSpace | None) -> None:
    """Checks a row group against its manifest rows. Raises IntegrityError at the first difference."""
    clip = manifest["clip_id"][0]
    if len(rows) != len(manifest):
        raise IntegrityError(f"{len(rows)} rows, but the manifest has {len(manifest)} of clip {clip}")
    check_rows(rows, f"clip {clip}")
    for name in _KEYS:
        if rows[name].to_pylist() != manifest[name].to_pylist():
            raise IntegrityError(f"column {name} differs from the manifest for clip {clip}")
    for name in ("frame_index", "row"):
        if name in manifest.column_names and manifest[name].to_pylist() != list(range(len(manifest))):
            raise IntegrityError(f"column {name} of clip {clip}: not 0..{len(manifest) - 1} in order")
    _check_presence(rows, str(clip))
    for row, listed in zip(rows.to_pylist(), manifest.to_pylist(), strict=True):
        _check_frame(row, listed, space)


def _check_presence(rows: pa.Table, clip: str) -> None:
    """Checks that all frames have a medium, or none; flow from the second frame on. Raises IntegrityError."""
    for name in (*_WHOLE, "flow"):
        if name in rows.column_names and rows[name].null_count < len(rows):
            column = rows[name].slice(1) if name == "flow" else rows[name]
            if column.null_count:
                raise IntegrityError(f"clip {clip}: {name} is missing in some of its frames")


def _check_frame(row: dict[str, Any], listed: dict[str, Any], space: LabelSpace | None) -> None:
    """Checks a frame's media against its manifest row. Raises IntegrityError at the first difference."""
    where, shape = f"clip {listed['clip_id']} frame {listed['frame_index']}", (listed["height"], listed["width"])
    decoded = {what: _decoded(what, row[what], where) for what in _DECODE if row.get(what)}
    for what, pixels in decoded.items():
        height, width = pixels.shape[:2]
        if (height, width) != shape:
            raise IntegrityError(f"{where}: {what} is {width}x{height}, the manifest says {shape[1]}x{shape[0]}")
    counts = np.bincount(decoded["label"].ravel())
    present = np.flatnonzero(counts)
    if present.tolist() != listed["class_ids"] or counts[present].tolist() != listed["class_pixels"]:
        raise IntegrityError(f"{where}: class pixels of the label differ from the manifest")
    if space and "instance" in decoded:
        found = count_instances(decoded["label"], decoded["instance"], space) or len(row.get("keypoints") or ())
        if found != (said := listed["num_instances"]) and said != count_with_groups(
            decoded["label"], decoded["instance"], space
        ):
            raise IntegrityError(f"{where}: {found} instances, the manifest says {listed['num_instances']}")


def _decoded(what: str, medium: dict[str, Any], where: str) -> NDArray[Any]:
    """Decodes one medium. Raises IntegrityError if it does not decode, or is named as something else."""
    try:
        pixels, ending = _DECODE[what](medium["bytes"]), kind_of(medium["bytes"])
    except ValueError as error:
        raise IntegrityError(f"{where}: {what} does not decode: {error}") from None
    if not re.fullmatch(_NAME.format(re.escape(ending)), medium["path"] or "") or (
        what != "image" and ending != ".png"
    ):
        raise IntegrityError(f"{where}: {what} is a {ending} file, but its path is {medium['path']!r}")
    return pixels
