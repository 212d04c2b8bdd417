"""Applies gates to clips that a version already holds or has excluded: the spec's bounds may have changed since."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_image, thumbnail
from flowreel.pipeline.dataset.row_group import read_row_group
from flowreel.pipeline.dataset.versions import FAILURES_FILE, LINEAGE_FILE, Version
from flowreel.pipeline.identity import as_clip_ids, ids_from_hex
from flowreel.pipeline.quality.gates import bounds_of, gate
from flowreel.schemas.clip import CLIP_ID
from flowreel.schemas.errors import DamagedMedia, IntegrityError
from flowreel.schemas.manifest import FAILURES, QUALITY
from flowreel.schemas.quality import QualitySpec
from flowreel.schemas.spec import Spec

THUMBNAILS = 500  # rejected clips that get a thumbnail: each costs a read of its images


def excluded(version: Version, clip_ids: pa.Array, spec: Spec) -> pa.Array:
    """Gives the CLIP_ID of clips that must not be rendered or published. ``clip_ids``: of the version, in its order.

    These are clips that failed for good, unless ``spec`` says otherwise: with the same input and settings they would
    fail again. If the gates are the same, also the clips they rejected, as rendering them would only give the same
    result; if not, those of the version's clips that have a frame beyond a bound. What was not measured passes.
    """
    unpublished = version.table(FAILURES_FILE, ["clip_id", "kind"])
    same = version.record.spec.quality == spec.quality
    kinds = [*(["rejected"] if same else []), *([] if spec.failure.retry_failed else ["failed"])]
    not_rendered = unpublished.filter(pc.is_in(unpublished["kind"], value_set=pa.array(kinds, pa.string())))["clip_id"]
    before = as_clip_ids(ids_from_hex(not_rendered)) if len(not_rendered) else pa.array([], CLIP_ID)
    if same:
        return before
    return pa.concat_arrays([pc.filter(clip_ids, pa.array(_beyond(version, len(clip_ids), spec.quality))), before])


def unpublished_clips(version: Version) -> pa.Table:
    """Reads what a version says of clips that it rejected or that failed: columns FAILURES."""
    table = version.table(FAILURES_FILE)
    if "thumbnail" not in table.column_names:  # of an older release
        table = table.append_column("thumbnail", pa.nulls(len(table), pa.binary()))
    return table


def rejected_now(version: Version, clip_ids: pa.Array, quality: QualitySpec) -> pa.Table:
    """Gives rows of FAILURES for clips of a version that ``quality`` rejects."""
    if not len(clip_ids):
        return FAILURES.empty_table()
    wanted = pa.array([clip_id.hex() for clip_id in clip_ids.to_pylist()])
    lineage = version.table(LINEAGE_FILE, ["clip_id", "sequence_id", "variant", "start", "frames"])
    places = {row["clip_id"]: row for row in _of(lineage, wanted)}
    rows: list[dict[str, Any]] = []
    for frames in _by_clip(version, wanted):
        if frames[0]["clip_id"] not in places:
            raise IntegrityError(f"{version.url(LINEAGE_FILE)}: clip {frames[0]['clip_id']} is missing")
        picture = _thumbnail(version, frames[0]) if len(rows) < THUMBNAILS else None
        rejection = gate({name: [frame.get(name) for frame in frames] for name in QUALITY}, quality)
        reason = rejection.reason if rejection else None
        rows.append(
            places[frames[0]["clip_id"]]
            | {"kind": "rejected", "reason": reason, "error": "", "attempts": 1, "thumbnail": picture}
        )
    return pa.Table.from_pylist(rows, schema=FAILURES)


def _beyond(version: Version, count: int, quality: QualitySpec) -> NDArray[np.bool_]:
    """Tells for each clip of the manifest whether a frame is beyond a bound."""
    beyond_C, before = np.zeros(count, np.bool_), -1
    available = set(version.manifest_columns())
    bounds = [bound for bound in bounds_of(quality) if bound.column in available]
    if not bounds:
        return beyond_C
    for part in version.manifest_parts(["frame_index", *{bound.column for bound in bounds}]):
        clip = before + np.cumsum(part["frame_index"].to_numpy() == 0)
        before = int(clip[-1])
        for bound in bounds:
            compare = pc.greater if bound.side == "max" else pc.less
            # In the column's precision: what `gate` let through when it was rendered may be rounded to above.
            found = compare(part[bound.column], pa.scalar(bound.value, pa.float32()))
            beyond_C[clip[found.fill_null(False).to_numpy()]] = True
    return beyond_C


def _by_clip(version: Version, wanted: pa.Array) -> Iterator[list[dict[str, Any]]]:
    """Yields the manifest rows of some clips, clip by clip."""
    available = set(version.manifest_columns())
    columns = ["clip_id", "shard", "row_group", *(name for name in QUALITY if name in available)]
    rows: list[dict[str, Any]] = []
    for part in version.manifest_parts(columns):
        for row in _of(part, wanted):
            if rows and rows[0]["clip_id"] != row["clip_id"]:
                yield rows
                rows = []
            rows.append(row)
    if rows:
        yield rows


def _of(rows: pa.Table, wanted: pa.Array) -> list[dict[str, Any]]:
    """Gives the rows of some clips."""
    return rows.filter(pc.is_in(rows["clip_id"], value_set=wanted)).to_pylist()


def _thumbnail(version: Version, row: dict[str, Any]) -> bytes:
    """Makes a thumbnail of a published clip, given its first manifest row."""
    images = read_row_group(version.dataset, row["shard"], row["row_group"], ["image"])["image"].to_pylist()
    chosen = (images[t]["bytes"] for t in (0, len(images) // 2, -1))
    try:
        return thumbnail(np.stack([decode_image(data) for data in chosen]))
    except ValueError as error:
        raise DamagedMedia(f"{version.dataset.url(row['shard'])}, clip {row['clip_id']}: {error}") from None
