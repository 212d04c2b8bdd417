"""`flowreel train`: checks the data, prepares reference flow, and trains with Ray Train; run again, it resumes."""

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from flowreel.jobs.engine.placement import PlacementWatch, alive_nodes, check_possible, room, waiting_for
from flowreel.jobs.engine.ray_errors import cause
from flowreel.jobs.engine.session import RayLost, RaySession, ray_session
from flowreel.jobs.engine.train_news import Unread, open_train_news
from flowreel.jobs.engine.train_worker import train_worker
from flowreel.jobs.terminal.progress import Display
from flowreel.jobs.terminal.train_progress import TrainProgress
from flowreel.pipeline.sources.file_index import forget_index
from flowreel.pipeline.training.data.loader import open_loader
from flowreel.pipeline.training.plan import TrainPlan, prepare
from flowreel.schemas.errors import FlowreelError, SourceError, underway
from flowreel.schemas.training import TrainSpec
from flowreel.schemas.wording import counted

POLL_S = 0.5
# glibc gives freed maps back to the system at once; fetching fresh pages took half of a step's time on CPUs.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "1073741824", "MALLOC_TOP_PAD_": "268435456", "MALLOC_MMAP_MAX_": "0"}


def train(spec: TrainSpec, display: Display) -> None:
    """Trains to the end of the schedule, from the newest saved state.

    Raises UsageError for a spec or data that cannot be used, and FlowreelError for all else that stops it before.
    """
    with display.task("checking data") as progress:
        plan = prepare(spec, progress)
    for line in plan.summary():
        display.say(line)
    if plan.finished:
        display.say(f"nothing to do: {spec.output} is already trained to the end of its schedule")
        return
    try:
        with ray_session() as session:
            if session.started:
                check_possible(spec.execution, spec.execution.workers)
            elif hint := waiting_for(spec.execution, spec.execution.workers):
                display.say(hint)
            _prepare_flow(plan, session, display)
            _fit(plan, session, display)
    except SourceError:
        forget_index(plan.output)  # it was wrong about a source: the next run reads all files again
        raise
    except RayLost as lost:
        raise FlowreelError(f"{lost}; run the same command to resume from the newest state in {spec.output}") from None


def _prepare_flow(plan: TrainPlan, session: RaySession, display: Display) -> None:
    """Computes, on all nodes, the reference flow that no run has computed yet. Raises FlowreelError if no node takes a
    task for too long, or Ray is gone."""
    caches, stride = open_loader(plan.spec, plan.data).flows, plan.spec.schedule.max_stride
    sources = zip(caches, plan.data.sources, strict=True)
    work = [(flows, item) for flows, source in sources for item in flows.missing(source.sequences, stride)]
    if not work:
        return
    remote: Any = ray.remote(num_cpus=1)
    compute, first = remote(lambda flows, item: flows.compute(item)), remote(lambda: None).remote()
    watch = PlacementWatch(plan.spec.execution.model_copy(update={"num_cpus": 1, "num_gpus": 0.0}))
    with display.task("computing reference flow") as progress:
        while not ray.wait([first], timeout=POLL_S)[0]:  # a CPU is free somewhere
            session.check()
            watch.check(placed=False)
        pending, done = [compute.remote(flows, item) for flows, item in work], 0
        while pending:
            session.check()
            ready, pending = ray.wait(pending, timeout=POLL_S)
            done += sum(ray.get(ready))
            progress(done, sum(len(item.pairs) for _, item in work))


def _fit(plan: TrainPlan, session: RaySession, display: Display) -> None:
    """Trains, and shows the progress.

    Raises FlowreelError if training fails more often than workers are replaced, if workers find no place for too long,
    or Ray is gone.
    """
    news, execution = open_train_news(), plan.spec.execution
    watch, begun = PlacementWatch(execution, execution.workers), False
    with _fitting(plan, news) as fitting, TrainProgress(display, plan) as progress:
        while fitting.is_alive():
            fitting.join(POLL_S)
            unread = _read(news, session)
            progress.show(unread.starts, unread.records)
            begun |= bool(unread.starts)
            if unread.error and begun:
                with underway():
                    raise unread.error
            elif unread.error:
                raise unread.error
            # Ray Train places workers anew when it has lost one, and waits for nodes that are large enough.
            watch.check(placed=unread.placed and room(execution, alive_nodes()) >= execution.workers)
        if fitting.error:
            raise FlowreelError(
                f"training failed more than {counted(execution.max_failures, 'time')} (execution.max_failures):"
                f" {fitting.error}\n"
                f"  run the same command to resume from the newest state in {plan.spec.output}"
            )
    uri = plan.output.uri
    display.say(f"trained: {uri} is a checkpoint directory; to render with it, set generator.checkpoint: {uri}")


def _read(news: Any, session: RaySession) -> Unread:
    """Reads what workers have reported. Raises what `RaySession.check` does if nobody answers any more."""
    answer = news.read.remote()
    while not ray.wait([answer], timeout=POLL_S)[0]:
        session.check()
    try:
        session.check()
        unread: Unread = ray.get(answer)
        return unread
    except RayActorError as error:
        raise FlowreelError(
            f"the node of this command was lost: {cause(error)}; run the same command to resume"
        ) from None


class _Fitting(threading.Thread):
    """Runs `TorchTrainer.fit` beside the progress display."""

    def __init__(self, trainer: TorchTrainer) -> None:
        super().__init__(daemon=True)
        self.trainer, self.error = trainer, ""

    def run(self) -> None:
        """Trains; keeps the last line of what goes wrong as ``error``."""
        try:
            self.trainer.fit()
        except Exception as error:  # whatever Ray Train makes of a failure, the driver reports it
            self.error = str(error).strip().splitlines()[-1]


@contextmanager
def _fitting(plan: TrainPlan, news: Any) -> Iterator[_Fitting]:
    """Starts Ray Train in a thread. ``news``: handle of the actor that workers report to."""
    execution = plan.spec.execution
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    make_run_config: Any = RunConfig  # its stubs are those of Ray Train's first version
    resources = {"CPU": execution.num_cpus} | ({"GPU": execution.num_gpus} if execution.num_gpus else {})
    with tempfile.TemporaryDirectory(prefix="flowreel-train-") as folder:  # of Ray Train; states are saved elsewhere
        trainer = TorchTrainer(
            train_worker,
            train_loop_config={"plan": plan, "news": news},
            scaling_config=ScalingConfig(
                num_workers=execution.workers, use_gpu=execution.num_gpus > 0, resources_per_worker=resources
            ),
            run_config=make_run_config(
                name="train",
                storage_path=str(Path(folder)),
                failure_config=FailureConfig(max_failures=execution.max_failures),
                worker_runtime_env={"env_vars": KEEP_MEMORY},
            ),
        )
        thread = _Fitting(trainer)
        thread.start()
        yield thread
