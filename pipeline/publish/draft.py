"""Drafts the next version from a finished plan and its outcomes, before it has a number."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.dataset.regate import rejected_now, unpublished_clips
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.versions import CLIPS, FAILURES_FILE, Version
from flowreel.pipeline.identity import as_clip_ids
from flowreel.pipeline.publish.merge import Merge
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.manifest import FAILURES
from flowreel.schemas.outcome import Failed
from flowreel.schemas.plan import Plan
from flowreel.schemas.quality import QualitySpec


@dataclass(frozen=True)
class Draft:
    """A version's content, before it has a number: a few bytes per clip, the rows stay where they are."""

    rows: Merge
    failures: pa.Table


def draft_version(job: RenderJob, plan: Plan, done: Ledger, base: Version | None) -> Draft:
    """Drafts the version that a finished plan leads to; the same in whatever order its outcomes came."""
    files, file_C = done.files()
    rendered = np.flatnonzero(file_C >= 0)
    base_clips = base.clips() if base else CLIPS.empty_table()
    kept = np.asarray(pc.is_in(base_clips["clip_id"], value_set=plan.reused)).astype(np.bool_)
    rows = Merge(base, base_clips, kept, _new_clips(job, plan, rendered), file_C[rendered], files)
    failures = [_failures(plan, done), *(_excluded(plan, base, base_clips, job.spec.quality) if base else ())]
    in_order = [("sequence_id", "ascending"), ("variant", "ascending"), ("start", "ascending")]
    return Draft(rows, pa.concat_tables(failures).sort_by(in_order))


def _new_clips(job: RenderJob, plan: Plan, rows: NDArray[np.int64]) -> pa.Table:
    """Gives the clips of the plan as they are published: columns CLIPS."""
    shards, spec = plan.shards, job.spec
    skipped = 0 if spec.clips.lead_in == "repeat" else job.checkpoint.config.n_frames - 1  # label frames at first
    sequence = pa.DictionaryArray.from_arrays(pa.array(shards.sequence_C[rows]), shards.sequences.ids)
    start_s = (shards.start_C[rows].astype(np.int64) + skipped * shards.stride_C[rows]) / spec.source.fps
    frames = (shards.frames_C[rows] - skipped).astype(np.int32)
    clip_ids = as_clip_ids(shards.clip_C16[rows])
    return pa.table([clip_ids, sequence, shards.variant_C[rows], start_s, frames], schema=CLIPS)


def changes_nothing(new: Draft, base: Version | None) -> bool:
    """Tells whether the base version already has the same clips and failures."""
    if base is None:
        return False
    return new.rows.clips()["clip_id"].equals(base.clips()["clip_id"]) and new.failures.equals(
        base.table(FAILURES_FILE)
    )


def _failures(plan: Plan, done: Ledger) -> pa.Table:
    """Gives rows of FAILURES for clips that this run rejected or that failed in it."""

    def rows() -> Iterator[dict[str, object]]:
        for row, outcome in done.unpublished():
            clip = plan.shards.clip(row)
            failed = isinstance(outcome, Failed)
            yield {
                "clip_id": clip.clip_id, "sequence_id": clip.sequence_id, "variant": clip.variant,
                "start": clip.start, "frames": len(clip.frames),
                "kind": "failed" if failed else "rejected", "reason": outcome.reason,
                "error": outcome.error if isinstance(outcome, Failed) else "",
                "attempts": outcome.attempts if isinstance(outcome, Failed) else 1,
                "thumbnail": None if isinstance(outcome, Failed) else base64.b64decode(outcome.thumbnail) or None,
            }  # fmt: skip

    return pa.Table.from_pylist(list(rows()), schema=FAILURES)


def _excluded(plan: Plan, base: Version, clips: pa.Table, quality: QualitySpec) -> list[pa.Table]:
    """Gives rows of FAILURES for clips that the plan does not even render: excluded before, or published until now."""
    if not len(plan.excluded):
        return []
    was_published = pc.is_in(plan.excluded, value_set=clips["clip_id"].combine_chunks())
    before = pa.array([clip_id.hex() for clip_id in plan.excluded.filter(pc.invert(was_published)).to_pylist()])
    known = unpublished_clips(base)
    again = known.filter(pc.is_in(known["clip_id"], value_set=before.cast(pa.string()))).select(FAILURES.names)
    return [again.cast(FAILURES), rejected_now(base, plan.excluded.filter(was_published), quality)]
