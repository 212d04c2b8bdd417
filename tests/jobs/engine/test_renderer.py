"""Shards that a worker generates at once: as many as the device has lanes, each as if it were alone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from flowreel.jobs.engine.renderer import open_renderer
from flowreel.pipeline.generator.engine import load_engine
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.render.job import MANY, Lanes, lanes_for
from flowreel.pipeline.render.shard import ShardRenderer

Run = Any  # the fixture's type lies in conftest, which is not importable
MEET_S = 60


class Meeting:
    """A real engine whose first frames wait for each other, ``expected`` at once; or count how many are there."""

    def __init__(self, prepared: Prepared, expected: int, concurrent: bool = True) -> None:
        self._real = load_engine(prepared.job.checkpoint, prepared.job.settings)
        self.config, self.generator, self.ahead = self._real.config, self._real.generator, self._real.ahead
        self.concurrent, self.met = concurrent, 0
        self.threads: set[int] = set()  # that frames were calculated with
        self._together, self._inside = threading.Barrier(expected), threading.Semaphore(expected)

    def encode(self, frame: Tensor, instance_BHW: Tensor | None) -> Any:
        return self._real.encode(frame, instance_BHW)

    def prepare(self, windows: Any) -> Any:
        assert self._inside.acquire(blocking=False), "more at once than there are lanes"
        try:
            self.threads.add(torch.get_num_threads())
            if self.met < self._together.parties:
                self._together.wait(MEET_S)
                self.met += 1
            time.sleep(0.1)  # for whoever should not come in
            return self._real.prepare(windows)
        finally:
            self._inside.release()

    def step(self, state: Any, looked: Any) -> Any:
        return self._real.step(state, looked)


def rendered(run: Run, prepared: Prepared, engine: Any) -> dict[str, bytes]:
    """Data files by name, of shards that are handed to two threads at once."""
    renderer = ShardRenderer(prepared.job, prepared.plan.plan_id, engine)
    with ThreadPoolExecutor(len(prepared.plan.shards)) as threads:
        list(threads.map(renderer.render, prepared.plan.shards))
    return {file.name: file.read_bytes() for file in (run.dataset / "data").iterdir()}


def test_two_shards_at_once_store_what_one_after_the_other_does(local_run: Run) -> None:
    prepared = local_run.prepare(execution={"num_gpus": 0, "num_cpus": 2})
    assert prepared.job.lanes == Lanes(2, threads=2) and len(prepared.plan.shards) == 2
    engine = Meeting(prepared, expected=2)
    together = rendered(local_run, prepared, engine)
    assert engine.met == 2
    alone = local_run.into("alone")
    alone.render(alone.prepare())
    assert together == {file.name: file.read_bytes() for file in (alone.dataset / "data").iterdir()}


@pytest.mark.parametrize(("cpus", "concurrent"), [(1, True), (2, False)])
def test_one_processor_or_an_engine_for_one_thread_has_one_lane(local_run: Run, cpus: int, concurrent: bool) -> None:
    prepared = local_run.prepare(execution={"num_gpus": 0, "num_cpus": cpus})
    assert len(rendered(local_run, prepared, Meeting(prepared, expected=1, concurrent=concurrent))) == 2


@pytest.mark.parametrize(
    ("device", "cpus", "shards", "lanes"),
    [
        ("cpu", 1, 1000, Lanes(1, 1)),
        ("cpu", 2, MANY - 1, Lanes(2, 2)),
        ("cpu", 2, MANY, Lanes(2, 1)),
        ("cpu", 3, MANY, Lanes(2, 2)),
        ("cpu", 8, 0, Lanes(2, 8)),
        ("cpu", 8, 1000, Lanes(2, 4)),
        ("cuda", 8, 1000, Lanes(1, 8)),
    ],
)
def test_lanes_have_threads_of_their_own_where_there_are_shards_for_all(
    device: str, cpus: int, shards: int, lanes: Lanes
) -> None:
    assert lanes_for(device, cpus, shards) == lanes


@pytest.mark.parametrize(("concurrent", "threads"), [(True, 1), (False, 2)])
def test_a_lane_calculates_with_its_threads_alone(local_run: Run, concurrent: bool, threads: int) -> None:
    prepared = local_run.prepare(execution={"num_gpus": 0, "num_cpus": 2})
    job, before = replace(prepared.job, lanes=Lanes(2, threads=1)), torch.get_num_threads()
    engine = Meeting(prepared, expected=2 if concurrent else 1, concurrent=concurrent)
    try:
        renderer = open_renderer(job, prepared.plan.plan_id, lambda _: None, lambda *_: engine)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda shard: renderer.render(shard, ""), prepared.plan.shards))
    finally:
        torch.set_num_threads(before)
    assert engine.threads == {threads}
