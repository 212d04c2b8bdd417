"""The benchmark of what a dataset is worth: its statistics, and a short run on real networks."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import cost_of_measures, utility
from benchmarks.utility import Interval, interval, verdict
from flowreel.pipeline.codec import decode_ids, encode_image
from flowreel.pipeline.pictures import color_labels
from flowreel.schemas.label_spaces import BUILT_IN
from tests.conftest import MakeSource


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
    local_run: Any, make_source: MakeSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = make_source(tmp_path / "real", sequences=2, frames=4)
    for label in sorted(real.glob("*/labels/*.png")):  # real frames that show each class in its colour
        image = label.parents[1] / "images" / f"{label.stem}.jpg"
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(
            encode_image(color_labels(decode_ids(label.read_bytes()), BUILT_IN["cityscapes"]), "jpeg", 95)
        )
    local_run.publish(local_run.prepare())
    brief = ["--test", "seq_01", "--steps", "3", "--seeds", "2", "--size", "64x32"]
    utility.main([str(real), str(local_run.dataset), *brief])
    said = capsys.readouterr().out
    assert "the generator may have seen seq_01: its checkpoint does not say" in said
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in said.splitlines() if line[:2] == "| "}
    assert [rows[kind] for kind in ("real", "synthetic", "both")] == ["4", "10", "14"]
    assert "- both less real: " in said and "- synthetic less real: " in said


def test_the_cost_of_measures_is_measured(capsys: pytest.CaptureFixture[str], one_thread: None) -> None:
    cost_of_measures.main(["--size", "64x32", "--frames", "2", "--rounds", "1"])
    assert "| all measures | " in capsys.readouterr().out
