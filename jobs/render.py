"""`flowreel render`: plan, render what is missing, publish a version; interrupted, the same command goes on."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING

from jobs.progress import Display
from pipeline import publish, runs
from pipeline.file_index import forget_index
from pipeline.ledger import Ledger
from pipeline.plan_file import save_plan
from pipeline.prepare import Prepared, prepare
from pipeline.versions import Version
from schemas.errors import SourceError
from schemas.outcome import Failed, ShardOutcome
from schemas.spec import Spec

if TYPE_CHECKING:
    from jobs.actor import Load


class Exit(IntEnum):
    """Exit codes of `flowreel render`: schedulers build on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WITH_FAILURES = 3
    OVER_BUDGET = 4


@dataclass
class Result:
    """How a render ended."""

    exit: Exit
    version: Version | None  # published now, or the one that says it all already
    published: bool
    rendered_frames: int = 0
    lost: list[str] = field(default_factory=list)  # one line per failed or rejected clip


def render(spec: Spec, display: Display, load: "Load | None" = None) -> Result:
    """Runs until published, within the failure budget or not; raises FlowreelError for what stops it before.

    ``load``: what workers load their generator with, if not `load_engine`.
    """
    prepared = _prepare(spec, display)
    while True:
        try:
            return _run(prepared, display, load)
        except publish.Conflict as conflict:
            display.say(f"{conflict}: planning again on top of it")
            prepared = _prepare(spec, display)


def _prepare(spec: Spec, display: Display) -> Prepared:
    with display.task("checking sources") as progress:
        prepared = prepare(spec, progress)
    prepared.catalog.check()
    if prepared.plan.clip_count:
        from pipeline.generator.loading import check_weights  # torch: for those who render only

        check_weights(prepared.job.checkpoint)
    return prepared


def _run(prepared: Prepared, display: Display, load: "Load | None") -> Result:
    job, plan, base = prepared.job, prepared.plan, prepared.base
    display.planned(prepared)
    if not plan.clip_count and not len(plan.reused):
        raise SourceError("nothing to render: every piece is too short for clips.lead_in: drop; set it to repeat")
    if base and not plan.clip_count and not plan.dropped:
        return Result(Exit.DONE, base, published=False)
    done = Ledger(plan.shards, runs.load_outcomes(job.dataset, plan.plan_id))
    runs.save_run(
        job.dataset, plan, {"started": datetime.now(UTC).isoformat(timespec="seconds"), "host": platform.node()}
    )
    save_plan(job.dataset, runs.plan_path(plan.plan_id), plan.shards)
    display.resumed(done.clip_count)
    frames = 0
    if done.size_left()[0]:
        for outcome in _rendered(prepared, done, display, load):
            frames += outcome.frames
            done.add(outcome)
    return _publish(prepared, done, frames, display)


def _rendered(prepared: Prepared, done: Ledger, display: Display, load: "Load | None") -> Iterator[ShardOutcome]:
    """Outcomes of all that is left, from workers on Ray, which nothing else needs."""
    from jobs.actor import start_actor
    from jobs.cluster import ray_session, waiting_for, worker_count
    from jobs.dispatch import Dispatcher

    job, plan_id, execution = prepared.job, prepared.plan.plan_id, prepared.job.spec.execution
    shards, frames = done.size_left()
    with ray_session():
        if hint := waiting_for(execution):
            display.say(hint)
        workers = worker_count(execution, shards)
        dispatcher = Dispatcher(lambda: start_actor(job, plan_id, load), workers, job.spec.failure.max_attempts)
        try:
            with display.rendering(frames) as progress:
                for outcome in dispatcher.run(done.left(), progress.beat):
                    if outcome.worker == "":  # it failed outside of any worker: nobody has recorded it yet
                        runs.save_outcome(job.dataset, plan_id, outcome)
                    progress.finished(outcome)
                    yield outcome
        finally:
            dispatcher.stop()


def _publish(prepared: Prepared, done: Ledger, frames: int, display: Display) -> Result:
    job, plan, base = prepared.job, prepared.plan, prepared.base
    lost = [loss for _, loss in done.losses()]
    failed = sum(isinstance(loss, Failed) for loss in lost)
    if failed:
        forget_index(job.dataset)  # it may have been wrong about a source: the next run reads all files again
    lines = [f"clip {loss.clip_id}: {loss.reason}" for loss in lost]
    nothing_left = len(lost) == plan.clip_count and not len(plan.reused)
    if failed > job.spec.failure.max_failed_fraction * plan.clip_count or nothing_left:
        runs.forget_losses(job.dataset, plan.plan_id, done.with_losses())
        return Result(Exit.OVER_BUDGET, base, False, frames, lines)
    with display.task("publishing"):
        draft = publish.draft(job, plan, done, base)
        same = publish.changes_nothing(draft, base)
        version = base if same else publish.commit(job, plan, draft)
        runs.end_run(job.dataset, plan.plan_id)
    return Result(Exit.WITH_FAILURES if failed else Exit.DONE, version, not same, frames, lines)
