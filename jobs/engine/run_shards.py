"""Renders shards by workers on Ray: on the cluster at RAY_ADDRESS, or on this machine.

Ray is imported when it is needed: a command that finds nothing to render does without it.
"""

from collections.abc import Generator

from flowreel.jobs.engine.local_network import stay_on_loopback
from flowreel.jobs.engine.renderer import RendererFactory, open_renderer
from flowreel.jobs.engine.stop_signal import stop_signal
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.runs import records
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.schemas.outcome import ShardOutcome


def run_shards(
    prepared: Prepared, done: Ledger, display: Display, open_with: RendererFactory = open_renderer
) -> Generator[ShardOutcome, None, None]:
    """Renders the shards that are left in ``done`` and gives their outcomes as they come.

    ``open_with``: opens what each worker renders with. Raises UsageError or FlowreelError if Ray or no worker starts,
    Stopped after SIGTERM.
    """
    stay_on_loopback()
    from flowreel.jobs.engine.actor import start_actor
    from flowreel.jobs.engine.cluster import ray_session, waiting_for, worker_count
    from flowreel.jobs.engine.dispatch import Dispatcher
    from flowreel.jobs.engine.metrics import DriverMetrics

    job, plan_id, execution = prepared.job, prepared.plan.plan_id, prepared.job.spec.execution
    shards, frames = done.size_left()
    with ray_session(), stop_signal(display.say, execution.grace_s) as stop:
        if hint := waiting_for(execution):
            display.say(hint)
        workers = worker_count(execution, shards)
        in_flight = job.lanes.in_flight
        dispatcher = Dispatcher(lambda: start_actor(job, plan_id, open_with), workers, job.spec, stop, in_flight)
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
            dispatcher.stop()
