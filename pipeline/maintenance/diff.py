"""What changed between two versions, and why. Clips are matched by sequence, variant and first frame.

Only clips that are in one of the versions alone are loaded, so two versions of a large dataset that differ little are
compared in little memory.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.dataset.lineage_file import lineage_parts
from flowreel.pipeline.dataset.spec_changes import changed_fields, deciding_fields
from flowreel.pipeline.dataset.versions import FAILURES_FILE, LINEAGE_FILE, Version
from flowreel.schemas.lineage import LINEAGE

_PLACE = ["sequence_id", "variant", "start"]
# Column of the lineage -> the reason that people read.
_REASONS = {
    "labels": "labels", "instances": "instances", "label_space": "label space", "frames": "range", "look": "variant",
    "weights": "weights", "settings": "settings", "split": "split", "render_format": "format",
}  # fmt: skip
_OF_OTHER_FRAMES = {"labels", "instances"}  # say nothing where the range differs


@dataclass(frozen=True)
class Diff:
    """Tables with a row per clip: where it is, and its ids; for changed clips also the reasons."""

    before: int
    after: int
    added: pa.Table  # sequence_id, variant, start, frames, clip_id
    removed: pa.Table  # the same, and `lost`: why there is no new one in its place, if one was wanted
    changed: pa.Table  # sequence_id, variant, start, frames, before, after, reasons
    same: int  # clips in both
    fields: tuple[str, ...]  # of the spec that differ: "clips.frames: 30 -> 16"

    @property
    def reasons(self) -> dict[str, int]:
        """Counts changed clips by what changed, most first. Clips with two reasons count for both."""
        counts = self.changed["reasons"].combine_chunks().flatten().value_counts().to_pylist()
        return {row["values"]: row["counts"] for row in sorted(counts, key=lambda r: (-r["counts"], r["values"]))}


def diff(before: Version, after: Version) -> Diff:
    """Compares ``before`` with ``after``, whichever is older."""
    ids = [v.table(LINEAGE_FILE, ["clip_id"])["clip_id"] for v in (before, after)]
    here, there = _only_in(before, ids[1]), _only_in(after, ids[0])
    both = here.join(there, _PLACE, join_type="inner", right_suffix="_after")
    changed = pa.table(
        {
            **{name: both[name] for name in _PLACE},
            "frames": both["frames_after"],
            "before": both["clip_id"],
            "after": both["clip_id_after"],
            "reasons": _reasons(both),
        }
    )
    unpublished = after.table(FAILURES_FILE, [*_PLACE, "reason"]).rename_columns([*_PLACE, "lost"])
    return Diff(
        before=before.number,
        after=after.number,
        added=_sorted(_without(there, here)),
        removed=_sorted(_without(here, there).join(unpublished, _PLACE, join_type="left outer")),
        changed=_sorted(changed),
        same=len(ids[0]) - len(here),
        fields=tuple(changed_fields(deciding_fields(before.record), deciding_fields(after.record))),
    )


def _without(clips: pa.Table, others: pa.Table) -> pa.Table:
    """Gives clips in whose places there are no others."""
    return clips.join(others.select(_PLACE), _PLACE, join_type="left anti").select([*_PLACE, "frames", "clip_id"])


def _only_in(version: Version, others: pa.ChunkedArray) -> pa.Table:
    """Reads the lineage of the clips that are not among ``others``."""
    columns = ["clip_id", *_PLACE, *_REASONS]
    parts = [pa.schema([LINEAGE.field(name) for name in columns]).empty_table()]
    for part in lineage_parts(version, columns):
        parts.append(part.filter(pc.invert(pc.is_in(part["clip_id"], value_set=others))).select(columns))
    return pa.concat_tables(parts).combine_chunks()


def _reasons(both: pa.Table) -> pa.Array:
    """Lists, for clips of one place in two versions, the parts of identity that differ."""
    moved = pc.not_equal(both["frames"], both["frames_after"])
    masks = np.zeros(len(both), np.int32)  # a bit per reason
    for bit, name in enumerate(_REASONS):
        old, new = both[name], both[f"{name}_after"]
        one_null = pc.not_equal(pc.is_null(old), pc.is_null(new))
        changed = pc.or_(pc.fill_null(pc.not_equal(old, new), False), one_null)
        if name in _OF_OTHER_FRAMES:
            changed = pc.and_not(changed, moved)
        masks |= np.asarray(changed).astype(np.int32) << bit
    found, index = np.unique(masks, return_inverse=True)
    lists = [[why for bit, why in enumerate(_REASONS.values()) if mask >> bit & 1] for mask in found.tolist()]
    return pa.array(lists, pa.list_(pa.string())).take(pa.array(index))


def _sorted(table: pa.Table) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in _PLACE]).combine_chunks()
