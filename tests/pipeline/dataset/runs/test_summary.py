"""What a run leaves besides its version: a summary that gc spares, and that later plans measure themselves by."""

import json
from pathlib import Path

import pytest

from flowreel.pipeline.dataset.runs import summary
from flowreel.pipeline.maintenance import gc
from flowreel.pipeline.maintenance.gc import Policy
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.render.retry import with_retries
from flowreel.schemas.errors import SourceError
from tests.support.small_dataset import Small


def summaries(small: Small) -> list[dict[str, object]]:
    return [json.loads(p.read_text()) for p in sorted(Path(small.dataset, summary.FOLDER).iterdir())]


def test_a_run_leaves_a_summary_and_a_refresh_that_finds_nothing_leaves_none(small: Small) -> None:
    small.add("a", 1, frames=2)
    small.refresh()
    small.refresh()
    (told,) = summaries(small)
    assert (told["exit"], told["version"], told["published"], told["frames"]) == (0, 1, True, 2)
    assert told["clips"] == {"rendered": 1, "rejected": 0, "failed": 0} and told["losses"] == {}
    assert set(told["stage_seconds"]) == {"fetch", "generate", "encode", "write"}  # type: ignore[call-overload]
    assert told["bytes"] == sum(info.size for info in small.store.list("data"))


def test_gc_spares_summaries_and_no_more_than_a_bound_are_kept(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "KEPT", 2)
    for content in range(3):
        small.add("a", content)
        small.refresh()
    gc.collect(small.store, Policy(keep=1, grace_s=0))
    assert len(summaries(small)) == 2


def test_lost_clips_are_counted_by_kind(small: Small) -> None:
    small.add("good", 1, frames=2)
    small.add("bad", 2, frames=2)
    bounds = {"max_warp_error": 1e-9}
    small.refresh(quality=bounds)
    (told,) = summaries(small)
    assert told["exit"] == 4 and told["losses"] == {"warp_error": 2}


def test_a_plan_is_measured_by_runs_of_the_same_rendering_only(small: Small) -> None:
    small.add("a", 1, frames=2)
    small.refresh()
    same, other = prepare(small.spec()), prepare(small.spec(generator={"size": [64, 32]}))
    found = summary.measured(small.store, same.job.settings)
    assert found is not None and found.frames_per_worker_s > 0
    assert summary.measured(small.store, other.job.settings) is None
    (place,) = Path(small.dataset, summary.FOLDER).iterdir()
    place.write_text('{"of": "another release"}')
    assert summary.measured(small.store, same.job.settings) is None


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (MemoryError("2 GiB"), "MemoryError", "MemoryError: 2 GiB"),
        (SourceError("KeyError: a name that a sentence begins with"), "input", "KeyError: a name that"),
    ],
)
def test_failures_have_a_kind_to_count_by(error: Exception, kind: str, reason: str) -> None:
    def fails() -> None:
        raise error

    failed = with_retries("c", fails, most=2)
    assert failed is not None and failed.kind == kind and failed.reason.startswith(reason)
