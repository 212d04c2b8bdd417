"""`flowreel render`: plan, render what is missing, publish a version; interrupted, the same command goes on."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum

from jobs.actor import Load, start_actor
from jobs.cluster import ray_session, waiting_for, worker_count
from jobs.dispatch import Dispatcher
from jobs.progress import Display
from pipeline import publish, runs
from pipeline.file_index import forget_index
from pipeline.generator.engine import load_engine
from pipeline.generator.loading import check_weights
from pipeline.prepare import Prepared, prepare
from pipeline.versions import Version
from schemas.errors import SourceError
from schemas.outcome import Failed, ShardOutcome
from schemas.plan import Shard
from schemas.spec import Spec


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


def render(spec: Spec, display: Display, load: Load = load_engine) -> Result:
    """Runs until published, within the failure budget or not; raises FlowreelError for what stops it before."""
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
    check_weights(prepared.job.checkpoint)
    return prepared


def _run(prepared: Prepared, display: Display, load: Load) -> Result:
    job, plan, base = prepared.job, prepared.plan, prepared.base
    display.planned(prepared)
    if not plan.shards and not plan.reused:
        raise SourceError("nothing to render: every piece is too short for clips.lead_in: drop; set it to repeat")
    if base and not plan.shards and not plan.dropped:
        return Result(Exit.DONE, base, published=False)
    done = runs.load_outcomes(job.dataset, plan.plan_id)
    runs.save_run(
        job.dataset, plan, {"started": datetime.now(UTC).isoformat(timespec="seconds"), "host": platform.node()}
    )
    display.resumed(sum(len(outcome.clips) for outcome in done.values()))
    left = list(runs.remaining(plan, done))
    frames = 0
    if left:
        with ray_session():
            if hint := waiting_for(job.spec.execution):
                display.say(hint)
            for outcome in _rendered(prepared, left, display, load):
                frames += outcome.frames
                # Outcomes are on storage as well; kept here they are a few hundred bytes per clip.
                done[outcome.shard_id] = outcome
    return _publish(prepared, runs.one_per_clip(plan, done.values()), frames, display)


def _rendered(prepared: Prepared, shards: list[Shard], display: Display, load: Load) -> Iterator[ShardOutcome]:
    job, plan_id = prepared.job, prepared.plan.plan_id
    execution = job.spec.execution
    dispatcher = Dispatcher(
        lambda: start_actor(job, plan_id, load), worker_count(execution, len(shards)), job.spec.failure.max_attempts
    )
    try:
        with display.rendering(sum(s.frame_count for s in shards)) as progress:
            for outcome in dispatcher.run(shards, progress.beat):
                if outcome.worker == "":  # it failed outside of any worker: nobody has recorded it yet
                    runs.save_outcome(job.dataset, plan_id, outcome)
                progress.finished(outcome)
                yield outcome
    finally:
        dispatcher.stop()


def _publish(prepared: Prepared, outcomes: list[ShardOutcome], frames: int, display: Display) -> Result:
    job, plan, base = prepared.job, prepared.plan, prepared.base
    lost = [loss for outcome in outcomes for loss in outcome.lost]
    failed = sum(isinstance(loss, Failed) for loss in lost)
    if failed:
        forget_index(job.dataset)  # it may have been wrong about a source: the next run reads all files again
    lines = [f"clip {loss.clip_id}: {loss.reason}" for loss in lost]
    nothing_left = len(lost) == plan.clip_count and not plan.reused
    if failed > job.spec.failure.max_failed_fraction * plan.clip_count or nothing_left:
        runs.forget_losses(job.dataset, plan.plan_id, outcomes)
        return Result(Exit.OVER_BUDGET, base, False, frames, lines)
    with display.task("publishing"):
        draft = publish.draft(job, plan, outcomes, base)
        same = publish.changes_nothing(draft, base)
        version = base if same else publish.commit(job, plan, draft)
        runs.end_run(job.dataset, plan.plan_id)
    return Result(Exit.WITH_FAILURES if failed else Exit.DONE, version, not same, frames, lines)
