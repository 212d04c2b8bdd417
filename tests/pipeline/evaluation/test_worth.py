"""What a dataset is worth: its statistics, and a short run on real networks."""

from pathlib import Path

import pytest

from flowreel.pipeline.evaluation.worth import Interval, Request, interval, measure_worth, verdict
from flowreel.schemas.errors import UsageError
from tests.conftest import MakeSource

from .real_data import add_frames

pytestmark = pytest.mark.usefixtures("one_thread")


def test_an_interval_is_students() -> None:
    found = interval([0.4, 0.5, 0.6])
    assert (found.mean, found.high - found.mean) == pytest.approx((0.5, 4.302653 * 0.1 / 3**0.5))
    assert str(Interval(0.5, 0.25, 0.75)) == "50.0% [25.0%, 75.0%]"
    with pytest.raises(ValueError, match="an interval takes two"):
        interval([0.5])


def test_a_verdict_needs_an_interval_on_one_side_of_zero() -> None:
    assert verdict(Interval(0.1, 0.05, 0.15)) == "better"
    assert verdict(Interval(-0.1, -0.15, -0.05)) == "worse"
    assert verdict(Interval(0.1, -0.05, 0.25)) == "no difference that these seeds show"


def test_a_short_run_trains_on_all_three_and_says_what_it_cannot_know(
    published: Path, make_source: MakeSource, tmp_path: Path
) -> None:
    real = str(add_frames(make_source(tmp_path / "real", sequences=2, frames=4)))
    told: list[str] = []
    request = Request(real, str(published), ["seq_01"], steps=3, seeds=2, size=(64, 32))
    said = measure_worth(request, told.append)
    assert said.startswith("3 steps, 2 seeds, 64x32, ") and told[0].startswith("seed 1 of 2, real: mIoU ")
    assert len(told) == 6
    assert "the generator may have seen seq_01: its checkpoint does not say" in said
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in said.splitlines() if line[:2] == "| "}
    assert [rows[kind] for kind in ("real", "synthetic", "both")] == ["4", "10", "14"]
    assert "- both minus real: " in said and "- synthetic minus real: " in said

    with pytest.raises(UsageError, match="no sequence is left to train on"):
        measure_worth(Request(real, str(published), ["seq_00", "seq_01"]), told.append)
