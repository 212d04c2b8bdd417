"""A refresh that renders everything again says why; the machine that it runs on is no reason."""

from typing import Any

import pytest

from flowreel.jobs import plan as planning
from flowreel.pipeline.planning import auto_settings
from flowreel.pipeline.planning.all_change import all_change
from flowreel.pipeline.planning.prepare import prepare
from tests.support.small_dataset import Quiet, Small

AUTO: dict[str, Any] = {"generator": {"precision": "auto"}}


@pytest.fixture
def two(small: Small) -> Small:
    for k, name in enumerate("ab"):
        small.add(name, k, frames=4)
    return small


@pytest.mark.parametrize("first", [True, False])
def test_the_processor_of_the_machine_that_plans_changes_no_clip(
    two: Small, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one thing that cannot be had for real in a test: another processor."""
    monkeypatch.setattr(auto_settings, "multiplies_bfloat16", lambda: first)
    two.refresh(**AUTO)
    monkeypatch.setattr(auto_settings, "multiplies_bfloat16", lambda: not first)
    prepared = prepare(two.spec(**AUTO), dry=True)
    assert (prepared.plan.clip_count, prepared.plan.dropped, len(prepared.plan.reused)) == (0, 0, 4)
    assert prepared.plan.settings.precision == ("bfloat16" if first else "float32")
    assert not two.refresh(**AUTO)[0].published


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"generator": {"precision": "bfloat16"}}, "generator.precision became bfloat16 (was float32)"),
        ({"source": {"fps": 5}}, "source.fps became 5.0 (was 17.0)"),
        ({"output": {"image_codec": "png"}}, "output.image_codec became png (was jpeg)"),
        ({"split": {"other": 1.0}}, "split.other became 1.0 (was None)"),
    ],
)
def test_what_changes_every_clip_is_said_by_plan_and_refresh(two: Small, change: dict[str, Any], reason: str) -> None:
    two.refresh()
    (warning,) = planning.summary(prepare(two.spec(**change), dry=True), None)["warnings"]
    assert warning.startswith("all 4 clips of version 1 change and are rendered again, because") and reason in warning
    display = Quiet()
    assert two.refresh(display, **change)[0].published
    assert f"note: {warning}" in display.said


def test_other_files_are_a_reason_too(two: Small) -> None:
    two.refresh()
    for k, name in enumerate("ab"):
        two.add(name, 10 + k, frames=4)
    assert all_change(prepare(two.spec(), dry=True)).endswith(
        "because the files or names of all of them changed in the source"
    )


def test_a_change_of_some_clips_is_no_news(two: Small) -> None:
    two.refresh()
    assert all_change(prepare(two.spec(), dry=True)) == ""
    two.add("a", 9, frames=4)
    assert all_change(prepare(two.spec(), dry=True)) == ""
    two.remove("a")
    assert all_change(prepare(two.spec(), dry=True)) == ""
