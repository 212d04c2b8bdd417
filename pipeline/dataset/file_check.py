"""Checks that a data file holds what the manifest says: keys, order, sizes, class pixels, and that everything
decodes."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_flow, decode_ids, decode_image
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.manifest import data_schema

_KEYS = ("clip_id", "sequence_id", "variant", "frame_index", "split", "timestamp_s")
_DECODE: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "image": decode_image,
    "label": decode_ids,
    "instance": decode_ids,
    "depth": decode_ids,
    "flow": lambda data: decode_flow(data)[0],
}


def check_file(data: bytes, manifest: pa.Table) -> None:
    """Checks a data file's bytes against its rows of a manifest. Raises IntegrityError at the first difference."""
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if not file.schema_arrow.equals(data_schema(file.schema_arrow.names)):
            raise IntegrityError("columns differ from the published schema")
        for group in sorted(set(manifest["row_group"].to_pylist())):
            wanted = manifest.filter(pc.equal(manifest["row_group"], group)).sort_by("row")
            _check_clip(file.read_row_group(group), wanted)
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"damaged: {error}") from None


def _check_clip(rows: pa.Table, manifest: pa.Table) -> None:
    """Checks a row group against its manifest rows. Raises IntegrityError at the first difference."""
    if len(rows) != len(manifest):
        raise IntegrityError(f"{len(rows)} rows, but the manifest has {len(manifest)} of clip {manifest['clip_id'][0]}")
    for name in _KEYS:
        if rows[name].to_pylist() != manifest[name].to_pylist():
            raise IntegrityError(f"column {name} differs from the manifest for clip {manifest['clip_id'][0]}")
    if manifest["frame_index"].to_pylist() != list(range(len(manifest))):
        raise IntegrityError(f"frames of clip {manifest['clip_id'][0]} are not 0..{len(manifest) - 1} in order")
    for row, said in zip(rows.to_pylist(), manifest.to_pylist(), strict=True):
        where, shape = f"clip {said['clip_id']} frame {said['frame_index']}", (said["height"], said["width"])
        if not row["image"] or not row["label"]:
            raise IntegrityError(f"{where}: its image or label is missing")
        decoded = {what: _decoded(what, row[what]["bytes"], where) for what in _DECODE if row.get(what)}
        for what, pixels in decoded.items():
            height, width = pixels.shape[:2]
            if (height, width) != shape:
                raise IntegrityError(f"{where}: {what} is {width}x{height}, the manifest says {shape[1]}x{shape[0]}")
        counts = np.bincount(decoded["label"].ravel())
        present = np.flatnonzero(counts)
        if present.tolist() != said["class_ids"] or counts[present].tolist() != said["class_pixels"]:
            raise IntegrityError(f"{where}: class pixels of the label differ from the manifest")


def _decoded(what: str, data: bytes, where: str) -> NDArray[Any]:
    """Decodes one medium. Raises IntegrityError if it does not decode."""
    try:
        return _DECODE[what](data)
    except ValueError as error:
        raise IntegrityError(f"{where}: {what} does not decode: {error}") from None
