"""One cluster on this machine with a number of sleeping actors, and what its driver takes for more and more shards."""

import os
import resource
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import ray
from ray._private.internal_api import get_memory_info_reply, get_state_from_address

from benchmarks.common import BUSY
from benchmarks.scale import VARIANTS, make_spec
from benchmarks.simulation.probe import bare_cpu_s
from benchmarks.simulation.stub import Sleeping
from benchmarks.synthetic import synthetic_index
from flowreel.jobs.engine.actor import start_actor
from flowreel.jobs.engine.dispatch import Dispatcher
from flowreel.jobs.engine.metrics import DriverMetrics
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.planning.prepare import Prepared, prepare
from flowreel.pipeline.sources.file_index import save_index
from flowreel.pipeline.storage import open_store
from flowreel.schemas.clip import Shard
from flowreel.schemas.outcome import ShardOutcome

FRAMES = 30  # per clip
WARM_UP = 3  # shards per actor that do not count
SETTLE_S = 0.05  # per actor, then: what hundreds of processes have put off when they started is done by then
NO_SPARE = "RAY_prestart_worker_first_driver", "0"  # else Ray starts a process more for each CPU
LEAN = "MALLOC_ARENA_MAX", "2"  # of the actors: each has some 30 threads, and glibc keeps memory for many of them apart


@dataclass(frozen=True)
class Stage:
    """What some shards took."""

    actors: int
    shards: int
    frames: int  # of all of them
    shard_s: float  # device time of each
    wall_s: float
    driver_cpu_s: float
    driver_rss_mb: float  # at its end
    store_bytes: int  # that went into Ray's object store meanwhile

    @property
    def ideal_s(self) -> float:
        return self.shards * self.shard_s / min(self.actors, self.shards)

    @property
    def cpu_ms_per_shard(self) -> float:
        return 1000 * self.driver_cpu_s / self.shards


@dataclass(frozen=True)
class Start:
    """What it took until all actors were ready."""

    actors: int
    wall_s: float
    driver_cpu_s: float
    actor_mb: float  # memory of a stub actor that it shares with no other
    bare_cpu_s: float  # of the driver, for a call to as many actors by the fewest lines: what Ray takes


def prepared_plan(folder: Path, shards: int, actors: int, gpus: bool) -> Prepared:
    """A plan of at least so many shards over a source that is there in name only, for a pool that does not shrink
    while the last shards of a stage are rendered."""
    clips = shards * (16 if gpus else 2)
    sequences = -(-clips // VARIANTS)
    uri = f"synthetic://{sequences}x{FRAMES}"
    spec = make_spec(folder / "dataset", uri, FRAMES)
    execution = spec.execution.model_copy(update={"num_gpus": float(gpus), "num_cpus": 1, "workers": (actors, actors)})
    spec = spec.model_copy(update={"execution": execution})
    save_index(open_store(spec.dataset.uri), synthetic_index(uri, sequences, FRAMES))
    return prepare(spec)


def simulate(folder: Path, actors: int, counts: Iterable[int], shard_s: float, gpus: bool) -> tuple[Start, list[Stage]]:
    """In turn, with the same actors. This process should have done nothing else: its memory is measured."""
    counts = list(counts)
    prepared = prepared_plan(folder, sum(counts) + WARM_UP * actors, actors, gpus)
    job, plan_id = prepared.job, prepared.plan.plan_id
    done = Ledger(prepared.plan.shards)
    shards = done.left()
    with _cluster(actors, gpus):
        began, cpu = time.perf_counter(), time.process_time()
        dispatcher = Dispatcher(
            lambda: start_actor(job, plan_id, Sleeping(shard_s)), actors, job.spec, in_flight=job.lanes.in_flight
        )
        try:
            ray.get([worker.handle.ready.remote() for worker in dispatcher.workers])
            ready = time.perf_counter() - began, time.process_time() - cpu, _actor_mb()
            metrics = DriverMetrics(job.spec.dataset.title, len(prepared.plan.shards))
            with Display().rendering(prepared.plan.frame_count) as progress:

                def outcomes(some: Iterable[Shard]) -> Iterator[ShardOutcome]:
                    for outcome in dispatcher.run(some, progress.update, metrics.observe):
                        progress.finished(outcome)
                        metrics.finished(outcome)
                        done.add(outcome)
                        yield outcome

                for _ in outcomes(islice(shards, WARM_UP * actors)):
                    pass
                time.sleep(SETTLE_S * actors)
                stages = [_stage(outcomes(islice(shards, count)), actors, shard_s) for count in counts]
        finally:
            dispatcher.stop()
        return Start(actors, *ready, bare_cpu_s(actors, shard_s)), stages


def _stage(outcomes: Iterator[ShardOutcome], actors: int, shard_s: float) -> Stage:
    stored, wall, cpu = _stored_bytes(), time.perf_counter(), time.process_time()
    frames = [outcome.frames for outcome in outcomes]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Stage(actors, len(frames), sum(frames), shard_s, wall, cpu, _rss_mb(), _stored_bytes() - stored)


class _cluster:
    """Ray on this machine, which says that it has a CPU and perhaps a GPU for each actor: nobody uses them."""

    def __init__(self, actors: int, gpus: bool) -> None:
        self._cpus, self._gpus = actors, actors if gpus else 0

    def __enter__(self) -> None:
        for name, value in BUSY.items():
            os.environ.setdefault(name, value)
        for setting in (NO_SPARE, LEAN):
            os.environ.setdefault(*setting)
        ray.init(
            address="local", include_dashboard=False, log_to_driver=False, namespace="flowreel",
            num_cpus=self._cpus, num_gpus=self._gpus, object_store_memory=256 * 2**20,
        )  # fmt: skip

    def __exit__(self, *_: object) -> None:
        ray.shutdown()


def _stored_bytes() -> int:
    """Ever written into the object stores of the cluster."""
    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    (node,) = ray.nodes()
    reply = get_memory_info_reply(state, node["NodeManagerAddress"], node["NodeManagerPort"])
    return int(reply.store_stats.cumulative_created_bytes)


def _rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _actor_mb() -> float:
    """Anonymous memory of an actor, averaged."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if (proc / "cmdline").read_bytes().startswith(b"ray::RenderActor"):
                lines = (proc / "smaps_rollup").read_text().splitlines()
                found += [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Anonymous:")]
        except OSError:
            continue
    return sum(found) / max(1, len(found))
