"""What is refused before the first step, and by what words."""

from pathlib import Path
from typing import Any

import pytest

from flowreel.pipeline.training.plan import prepare
from flowreel.schemas.errors import UsageError

from .paired import train_spec, write_paired


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"size": (98, 64)}}, r"data\.size: size 98x64 .* nearest are 96x64 and 100x64"),
        ({"data": {"crop": (90, 64)}}, r"data\.crop: size 90x64"),
        ({"data": {"hold_out": ("nobody",)}}, r"nobody"),
        ({"schedule": {"load_frames": 9}}, r"seq_0.* 4 frames"),
        ({"generator": {"foreground": ("dragon",)}}, r"'dragon' is no class"),
        ({"generator": {"ngf": 3, "n_scales": 2}}, r"ngf 3 must be divisible by 2"),
        ({"generator": {"init": "nowhere"}}, r"nowhere"),
        ({"losses": {"perceptual_weights": "missing.pth"}}, r"losses\.perceptual_weights: .*missing\.pth"),
        ({"data": {"flow": "raft", "flow_weights": "missing.pth"}}, r"data\.flow_weights: .*missing\.pth"),
    ],
    ids=["size", "crop", "held-out", "length", "class", "widths", "init", "perceptual", "flow"],
)
def test_what_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    source = write_paired(tmp_path / "source", sequences=2, frames=4)
    with pytest.raises(UsageError, match=message):
        prepare(train_spec(source, tmp_path / "out", **change))


def test_summary_says_what_is_trained_on(tmp_path: Path) -> None:
    source = write_paired(tmp_path / "source", sequences=3, frames=6)
    plan = prepare(train_spec(source, tmp_path / "out", data={"hold_out": ("seq_1",)}))
    first, second = plan.summary()
    assert first == "2 sequences, 12 frames of 96x64 to train on; held out: seq_1"
    assert second == f"{plan.total_steps:,} steps in 20 epochs" and not plan.finished
