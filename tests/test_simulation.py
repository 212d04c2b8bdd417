"""Simulated runs, the model fitted to them, and sections that commands write."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common import put_section
from benchmarks.scale import FRAMES, NOWHERE, make_job, make_plan, make_spec
from benchmarks.scale import GPU as SETTINGS
from benchmarks.simulation.model import Run, driver_share, fitted, predicted_cpu_s
from benchmarks.simulation.run import Stage, Start
from flowreel.jobs import plan as planning
from flowreel.pipeline.planning.memory_estimate import memory
from tests.support.local_run import LocalRun


def stage(actors: int, shards: int, wall_s: float) -> Stage:
    """As a driver would measure it that takes 1 ms a shard, 5 ms a second, and 0.1 ms a second for each worker."""
    cpu_s = 0.001 * shards + 0.005 * wall_s + 0.0001 * actors * wall_s
    return Stage(actors, shards, shards * 60, 0.1, wall_s, cpu_s, 300.0, 0)


def test_the_model_finds_the_costs_again() -> None:
    stages = [stage(actors, shards, shards / 50) for actors in (2, 20, 200) for shards in (100, 10_000)]
    stages.append(stage(200, 100, 100.0))
    costs = fitted(stages, [Start(200, 30.0, 2.0, 80.0, 0.001)])
    found = (costs.per_shard, costs.per_second, costs.per_worker_second, costs.per_start)
    assert found == pytest.approx((0.001, 0.005, 0.0001, 0.01), rel=1e-3)
    assert predicted_cpu_s(stages[0], costs) == pytest.approx(stages[0].driver_cpu_s)
    run = Run(workers=1000, clips=16_000, frames_per_clip=30, frames_per_s=4.8)
    assert run.shards == 1000 and run.render_s == pytest.approx(100)
    assert driver_share(run, costs) == pytest.approx(0.001 * 10 + 0.005 + 0.1, rel=1e-3)


def test_a_shard_is_sent_small_and_comes_whole(tmp_path: Path) -> None:
    shards = make_plan(320, make_job(make_spec(tmp_path, NOWHERE, FRAMES), SETTINGS)).shards
    sent = pickle.dumps(shards[1])
    assert len(sent) < 60 * shards[1].frame_count
    came = pickle.loads(sent)
    assert came == shards[1]
    frames = came.clips[0].frames
    assert list(pickle.loads(pickle.dumps(frames[::-2]))) == list(frames)[::-2]
    assert (frames[3], frames[-1]) == (list(frames)[3], list(frames)[-1])


def test_sections_are_added_and_replaced(tmp_path: Path) -> None:
    place = tmp_path / "README.md"
    for name, text in (("a", "old"), ("b", "other"), ("a", "new")):
        put_section(place, name, text)
    assert (
        place.read_text()
        == "# Benchmarks\n\n<!-- a -->\nnew\n<!-- end of a -->\n\n<!-- b -->\nother\n<!-- end of b -->\n"
    )


def test_plan_says_what_memory_is_needed(local_run: LocalRun) -> None:
    small, large = local_run.prepare(), local_run.prepare(generator={"batch": 8})
    assert memory(large).actor > memory(small).actor
    figures = planning.summary(small, price=None)
    (line,) = [text for text in planning.lines(figures) if "  memory" in text]
    assert f"{memory(small).actor / 1e6:,.0f} MB per worker" in line
    assert figures["driver_bytes"] == memory(small).driver


@pytest.mark.slow
def test_sleeping_actors_are_measured() -> None:
    command = [sys.executable, "-m", "benchmarks.simulation", "--alone", "--actors", "2", "--shards", "5", "20"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert [s["shards"] for s in found["stages"]] == [5, 20]
    assert found["start"]["bare_cpu_s"] > 0
    assert all(s["driver_cpu_s"] > 0 and s["store_bytes"] == 0 for s in found["stages"])
