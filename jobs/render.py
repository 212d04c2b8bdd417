"""`flowreel render`: plans, renders the clips that are missing, and publishes a version; run again, it resumes."""

import platform
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow.compute as pc

from flowreel.jobs.engine.renderer import EngineLoader, open_renderer
from flowreel.jobs.engine.run_shards import run_shards
from flowreel.jobs.engine.stop_signal import postponed
from flowreel.jobs.finish import Result as Result
from flowreel.jobs.finish import end_runs, finish_interrupted, published_text, save_run_summary
from flowreel.jobs.report import publish_report
from flowreel.jobs.terminal.progress import Display
from flowreel.jobs.terminal.signals import if_stopped
from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.runs import records, summary
from flowreel.pipeline.dataset.runs.lease import RUNS, Lease, Stalled, secure
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.runs.plan_file import save_plan
from flowreel.pipeline.dataset.runs.work_log import WorkLog
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.generator.checks import check_weights
from flowreel.pipeline.identity import as_clip_ids
from flowreel.pipeline.planning.all_change import all_change
from flowreel.pipeline.planning.dropped import check_dropped
from flowreel.pipeline.planning.prepare import Prepared, prepare
from flowreel.pipeline.publish import commit
from flowreel.pipeline.publish.claim import Conflict
from flowreel.pipeline.publish.draft import changes_nothing, draft_version
from flowreel.pipeline.sources.file_index import forget_index
from flowreel.pipeline.storage import NotFound
from flowreel.schemas.errors import SourceError, underway
from flowreel.schemas.exit_codes import Exit as Exit
from flowreel.schemas.outcome import Failed, ShardOutcome
from flowreel.schemas.spec import Spec
from flowreel.schemas.wording import counted

# Renders the shards that are left in a ledger, and gives their outcomes as they come.
Rendering = Callable[[Prepared, Ledger, Display], Generator[ShardOutcome, None, None]]


def render(spec: Spec, display: Display, load: EngineLoader | None = None, *, allow_code: bool = False) -> Result:
    """Renders what a spec lacks and publishes it, unless more clips fail than failure.max_failed_fraction allows.

    ``load``: loads the generator in workers, by default `load_engine`. ``allow_code``: accept a segmenter that runs
    code of its own. Raises UsageError for a spec or input that
    cannot be used, and FlowreelError for all else that keeps it from ending.
    """
    return render_by(
        partial(run_shards, open_with=partial(open_renderer, load=load)), spec, display, allow_code=allow_code
    )


def render_by(rendering: Rendering, spec: Spec, display: Display, *, allow_code: bool = False) -> Result:
    """Does what `render` does, with ``rendering`` to render the shards."""
    prepared = _prepare(spec, display, allow_code)
    display.planned(prepared)
    finish_interrupted(prepared.base, display, report=spec.dataset.report)
    if _up_to_date(prepared):
        return Result(Exit.DONE, prepared.base, published=False)
    dataset, tally = prepared.job.dataset, summary.Tally()
    if prepared.base:
        dataset.check_writable()

    def tallied(*run: Any) -> Generator[ShardOutcome, None, None]:
        with closing(rendering(*run)) as outcomes:
            for outcome in outcomes:
                tally.add(outcome)
                yield outcome

    with underway(lambda: tally.clips.total() > 0):
        with Lease(dataset, RUNS) as lease:
            result = _until_published(prepared, lease, tallied, display)
            new = result.version if result.published else None
            with if_stopped(published_text(new)):
                kept = lease.plan_ids[-1:] if result.exit == Exit.OVER_BUDGET else []
                end_runs(dataset, [plan_id for plan_id in lease.plan_ids if plan_id not in kept], display)
        with if_stopped(published_text(new)):
            save_run_summary(prepared, result, tally, display)
            if new and spec.dataset.report:
                publish_report(new, display)
    return result


def _until_published(prepared: Prepared, lease: Lease, rendering: Rendering, display: Display) -> Result:
    """Runs, and plans again whenever another run has published a version meanwhile."""
    while True:
        try:
            return _run(prepared, lease, rendering, display)
        except (Conflict, Stalled) as conflict:
            prepared = _planned_again(conflict, prepared, display)
        if _up_to_date(prepared):
            return Result(Exit.DONE, prepared.base, published=False)


def _prepare(spec: Spec, display: Display, allow_code: bool) -> Prepared:
    """Plans, and raises UsageError for all that would keep the plan from being rendered."""
    with display.task("checking sources") as progress:
        prepared = prepare(spec, progress, allow_code=allow_code)
    prepared.catalog.check()
    check_dropped(prepared)
    if reason := all_change(prepared):
        display.note(reason)
    if prepared.plan.clip_count:
        check_weights(prepared.job.checkpoint)
    elif not len(prepared.plan.reused) + len(prepared.plan.excluded):
        raise SourceError(
            "nothing to render: clips.lead_in: drop leaves no frame of any sequence, as all are too short; set"
            " clips.lead_in: repeat"
        )
    return prepared


def _up_to_date(prepared: Prepared) -> bool:
    """Tells whether the newest version already is what the spec asks for."""
    return bool(prepared.base and not prepared.plan.clip_count and not prepared.plan.dropped)


def _planned_again(conflict: Exception, outdated: Prepared, display: Display) -> Prepared:
    """Plans on top of what another run has published since the ``outdated`` plan was made."""
    display.say(f"{conflict}: planning again on top of it")
    prepared = _prepare(outdated.job.spec, display, outdated.job.allow_code)
    base, plan = prepared.base, prepared.plan
    if base and base.number != outdated.plan.base_version:
        wanted = as_clip_ids(outdated.plan.shards.clip_C16)
        there = pc.sum(pc.is_in(wanted, value_set=plan.reused)).as_py() or 0
        display.say(
            f"version {base.number}, published by a run on {base.record.host}, already holds {there:,} of"
            f" {counted(len(wanted), 'clip')} that this run was to render: reusing them;"
            f" {counted(plan.clip_count, 'clip')} left to render"
        )
    return prepared


def _run(prepared: Prepared, lease: Lease, rendering: Rendering, display: Display) -> Result:
    """Renders what is left of the plan and publishes. Raises Conflict or Stalled where the plan is outdated by then."""
    job, plan = prepared.job, prepared.plan
    lease.hold(plan_ids=[plan.plan_id])
    if job.spec.failure.retry_failed:
        records.forget_failures(job.dataset, plan.plan_id)
    log = WorkLog()
    done = Ledger(plan.shards, log.log_each(records.load_outcomes(job.dataset, plan.plan_id)))
    records.save_run(
        job.dataset, plan, {"started": datetime.now(UTC).isoformat(timespec="seconds"), "host": platform.node()}
    )
    save_plan(job.dataset, records.plan_path(plan.plan_id), plan.shards)
    display.resumed(done.clip_count)
    frames = 0
    while True:
        if done.size_left()[0]:
            with closing(rendering(prepared, done, display)) as outcomes:
                for outcome in log.log_each(outcomes):
                    frames += outcome.frames
                    done.add(outcome)
        deleted = secure(lease, job.dataset, done.files()[0]["path"].to_pylist(), display.say)
        if not deleted:
            return _publish(prepared, done, log, frames, display, lease)
        display.say(f"deleted meanwhile: {counted(len(deleted), 'finished data file')}; rendering their clips again")
        done = Ledger(plan.shards, records.load_outcomes(job.dataset, plan.plan_id))


def _publish(prepared: Prepared, done: Ledger, log: WorkLog, frames: int, display: Display, lease: Lease) -> Result:
    """Publishes a version, unless more clips have failed than the spec allows or none is left."""
    job, plan, base = prepared.job, prepared.plan, prepared.base
    unpublished = [outcome for _, outcome in done.unpublished()]
    failed = sum(isinstance(outcome, Failed) for outcome in unpublished)
    if failed:
        forget_index(job.dataset)  # it may have been wrong about a source: the next run reads all files again
    lines = [f"clip {outcome.clip_id}: {outcome.reason}" for outcome in unpublished]
    nothing_left = len(unpublished) == plan.clip_count and not len(plan.reused)
    if failed > job.spec.failure.max_failed_fraction * plan.clip_count or nothing_left:
        return Result(Exit.OVER_BUDGET, base, False, frames, lines)
    version: Version | None = None
    said = if_stopped(lambda: published_text(None if version is base else version))
    with underway(), said, display.task("publishing"), postponed(display.say, "publishing the version"):
        lease.check()
        version = _committed(prepared, done, log)
    same = version is base
    return Result(Exit.WITH_FAILURES if failed else Exit.DONE, version, not same, frames, lines)


def _committed(prepared: Prepared, done: Ledger, log: WorkLog) -> Version:
    """Commits the next version and gives it; gives the base version if nothing would change."""
    job, plan, base = prepared.job, prepared.plan, prepared.base
    try:
        draft = draft_version(job, plan, done, base)
        if base and changes_nothing(draft, base):
            return base
        return commit.commit(job, plan, draft, log.work())
    except NotFound:
        newest = max(versions.numbers(job.dataset), default=0)
        if newest <= (plan.base_version or 0):
            raise
        # The version that this run builds on has been dropped by retention.
        raise Conflict(f"version {newest} was published meanwhile") from None
