"""How many workers finish in how many hours."""

from typing import Any

import pytest

from flowreel.jobs import plan as planning
from flowreel.pipeline.dataset.runs import summary
from flowreel.pipeline.planning.time_estimate import SECONDS_PER_MEGAPIXEL, Estimate, estimate
from flowreel.schemas.run import RunSummary
from tests.support.local_run import LocalRun


def test_shards_are_not_divided() -> None:
    takes = Estimate(shards=10, frames=3600 * 10, frames_per_worker_s=1.0, source="")
    assert takes.worker_hours == pytest.approx(10)
    assert [takes.hours(n) for n in (1, 3, 10, 50)] == pytest.approx([10, 4, 1, 1])
    assert Estimate(0, 0, 1.0, "").hours(1) == 0


def test_the_assumption_is_named_until_a_run_has_measured(local_run: LocalRun) -> None:
    prepared = local_run.prepare()
    assumed = estimate(prepared)
    assert "assumed" in assumed.source
    assert assumed.frames_per_worker_s == pytest.approx(1 / (SECONDS_PER_MEGAPIXEL["cpu"] * 64 * 32 / 1e6))
    summary.save(prepared.job.dataset, ran(prepared, frames=50, worker_seconds=100.0))
    measured = estimate(prepared)
    assert measured.frames_per_worker_s == 0.5
    assert "2026-11-01" in measured.source


def test_plan_says_how_many_finish_when(local_run: LocalRun) -> None:
    prepared = local_run.prepare(execution={"workers": [1, 2]})
    summary.save(prepared.job.dataset, ran(prepared, frames=50, worker_seconds=100.0))
    figures = planning.summary(prepared, price=None)
    assert [f["workers"] for f in figures["finishes"]] == [1, 2]  # there are 2 shards
    assert figures["finishes"][0]["hours"] == round(prepared.plan.frame_count / 0.5 / 3600, 4)
    (line,) = [text for text in planning.lines(figures) if "finishing" in text]
    assert "finishing  1 worker, under a minute; 2 workers, under a minute" in line


def ran(prepared: Any, frames: int, worker_seconds: float) -> RunSummary:
    return RunSummary(
        plan_id="0" * 32, dataset="d", started="2026-11-01T00:00:00+00:00", seconds=1.0, host="h", exit=0, version=1,
        published=True, settings=prepared.job.settings, num_gpus=0, num_cpus=1, workers=1,
        worker_seconds=worker_seconds, frames=frames, clips={}, losses={}, bytes=0, stage_seconds={},
    )  # fmt: skip
