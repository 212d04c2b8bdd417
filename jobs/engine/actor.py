"""The Ray actor: one generator on one GPU (or a share of one, or some CPUs) that renders whole shards."""

import logging
import os
import pickle
import platform
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray

from flowreel.jobs.engine.metrics import WorkerMetrics
from flowreel.jobs.engine.renderer import RendererFactory
from flowreel.jobs.terminal.json_logs import log_as_json
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.clip import Shard
from flowreel.schemas.errors import DeviceLost
from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.spec import ExecutionSpec

log = logging.getLogger(__name__)


class RenderActor:
    """Loads the generator once and renders shards. Calls of ``render`` overlap; those without a free lane wait."""

    def __init__(self, job: RenderJob, plan_id: str, open_with: RendererFactory) -> None:
        """Begins to load the generator, in a thread: that the actor has a place shows before it is ready."""
        self._frames, self._count = 0, threading.Lock()
        self._renderer = ThreadPoolExecutor(1, "load").submit(open_with, job, plan_id, self._tick)
        self._name = f"{platform.node()}:{os.getpid()}"
        self._metrics = WorkerMetrics(job.spec.dataset.title, job.lanes.count)
        self._node = ray.get_runtime_context().get_node_id()
        log_as_json({"run": plan_id, "worker": self._name, "node": self._node})

    @ray.method(concurrency_group="status")
    def placed(self) -> str:
        """Gives Ray's id of its node as soon as the process runs."""
        return self._node

    @ray.method(concurrency_group="status")
    def ready(self) -> tuple[str, str]:
        """Gives the worker's name and Ray's id of its node, once its generator is loaded; raises what kept it from
        that."""
        self._renderer.result()
        return self._name, self._node

    @ray.method(concurrency_group="status")
    def frames(self) -> int:
        """Gives the number of frames generated so far, also of shards that are not finished."""
        return self._frames

    def render(self, packed: bytes) -> ShardOutcome:
        """Renders a shard and gives its outcome. ``packed``: a `Shard`, pickled."""
        shard: Shard = pickle.loads(packed)
        try:
            outcome = self._renderer.result().render(shard, self._name)
        except DeviceLost as error:  # Ray restarts the process, and its shards are tried again
            log.error("%s", error, extra={"shard": shard.shard_id})
            os._exit(1)
        self._metrics.finished(outcome)
        for clip in outcome.lost:
            log.warning("%s", clip.reason, extra={"shard": shard.shard_id, "clip": clip.clip_id, "kind": clip.kind})
        done = {"shard": shard.shard_id, "frames": outcome.frames, "seconds": outcome.seconds}
        log.info("shard done: %d of %d clips", len(shard.clips) - len(outcome.lost), len(shard.clips), extra=done)
        return outcome

    def _tick(self, frames: int) -> None:
        self._metrics.generated(frames)
        with self._count:
            self._frames += frames


def start_actor(job: RenderJob, plan_id: str, open_with: RendererFactory) -> Any:
    """Starts an actor and gives its handle; Ray places it, and restarts it when it dies."""
    execution: ExecutionSpec = job.spec.execution
    remote: Any = ray.remote  # its stubs do not know the options of actors
    actor = remote(
        num_gpus=execution.num_gpus,
        num_cpus=execution.num_cpus,
        max_restarts=-1,
        max_concurrency=job.lanes.in_flight,
        concurrency_groups={"status": 3},
    )(RenderActor)
    return actor.remote(job, plan_id, open_with)
