"""Renders shards by workers on Ray: on the cluster at RAY_ADDRESS, or on this machine.

Ray is imported when it is needed: a command that finds nothing to render does without it.
"""

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING

from flowreel.jobs.engine.local_network import stay_on_loopback
from flowreel.jobs.engine.renderer import RendererFactory, open_renderer
from flowreel.jobs.engine.stop_signal import stop_signal
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.runs import records
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.outcome import ShardOutcome

if TYPE_CHECKING:
    from flowreel.jobs.engine.session import RaySession

RESTARTS = 3  # of a Ray on this machine, in a row without a finished shard


def run_shards(
    prepared: Prepared, done: Ledger, display: Display, open_with: RendererFactory = open_renderer
) -> Generator[ShardOutcome, None, None]:
    """Renders the shards that are left in ``done``, to which the caller adds their outcomes as they come.

    ``open_with``: opens what each worker renders with. A Ray of this machine that dies is started anew. Raises
    UsageError or FlowreelError if Ray or no worker starts or has a place, or if Ray is gone; Stopped after SIGTERM.
    """
    stay_on_loopback()
    from flowreel.jobs.engine.session import RayLost, ray_session

    restarts = 0
    while True:
        try:
            with ray_session() as session:
                for outcome in _in_session(session, prepared, done, display, open_with):
                    yield outcome
                    restarts = 0
                return
        except RayLost as lost:
            if not lost.started or restarts == RESTARTS:
                again = f", {restarts + 1} times in a row" if restarts else ""
                raise FlowreelError(
                    f"{lost}{again}; finished shards are kept: run the same command to resume"
                ) from None
            restarts += 1
            display.say(f"{lost}; starting it again and going on")


def _in_session(
    session: "RaySession", prepared: Prepared, done: Ledger, display: Display, open_with: RendererFactory
) -> Generator[ShardOutcome, None, None]:
    """Does what `run_shards` does, as long as Ray lives."""
    from flowreel.jobs.engine.actor import start_actor
    from flowreel.jobs.engine.dispatch import Dispatcher
    from flowreel.jobs.engine.metrics import DriverMetrics
    from flowreel.jobs.engine.placement import check_possible, waiting_for, worker_count

    job, plan_id, execution = prepared.job, prepared.plan.plan_id, prepared.job.spec.execution
    shards, frames = done.size_left()
    with stop_signal(display.say, execution.grace_s) as stop:
        if session.started:
            check_possible(execution)
        elif hint := waiting_for(execution):
            display.say(hint)
        workers = worker_count(execution, shards, growing=not session.started)
        start = partial(start_actor, job, plan_id, open_with)
        dispatcher = Dispatcher(start, workers, job.spec, stop, job.lanes.in_flight, session.check)
        metrics = DriverMetrics(job.spec.dataset.title, shards)
        try:
            with display.rendering(frames) as progress:
                for outcome in dispatcher.run(done.left(), progress.update, metrics.observe):
                    if outcome.worker == "":  # it failed outside of any worker: it is not recorded yet
                        records.save_outcome(job.dataset, plan_id, outcome)
                    progress.finished(outcome)
                    metrics.finished(outcome)
                    yield outcome
        finally:
            if session.alive:  # else Ray would wait for an answer
                dispatcher.stop()
