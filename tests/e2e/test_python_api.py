"""`flowreel.load_spec`, `plan` and `render`: the commands as Python calls."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import flowreel
from flowreel.jobs import api, plan
from flowreel.jobs.render import Exit, Result
from flowreel.jobs.spec_file import open_spec
from flowreel.jobs.terminal.progress import Display

from .conftest import write_spec


@pytest.fixture
def spec(local_run: Any, tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(local_run.dataset)},
        source={"uri": str(local_run.source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint), "batch": 2},
    )


def test_a_spec_is_read_with_overrides(spec: Path) -> None:
    read = flowreel.load_spec(str(spec), ["clips.frames=3"])
    assert read.clips.frames == 3 and read.execution.num_cpus == 1
    with pytest.raises(flowreel.UsageError, match="no such file"):
        flowreel.load_spec(str(spec.with_name("none.yaml")))
    with pytest.raises(flowreel.UsageError, match=r"clips\.frame"):
        flowreel.load_spec(str(spec), ["clips.frame=3"])


def test_a_plan_has_the_figures_of_the_command(spec: Path, capfd: pytest.CaptureFixture[str]) -> None:
    summary = flowreel.plan(flowreel.load_spec(str(spec)), price=2.0, progress=False)
    assert capfd.readouterr() == ("", "")
    figures = plan.plan(open_spec(str(spec), (), Display(quiet=True)), None, 2.0)[1]
    assert [field.name for field in fields(summary)] == list(figures)
    assert json.loads(json.dumps(vars(summary))) == json.loads(plan.as_json(figures))
    assert summary.clips_to_render > 0 and summary.problems == () and summary.estimated_cost is not None


def test_the_version_that_was_published_is_given(
    spec: Path, local_run: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    version = local_run.publish(local_run.prepare())

    def render(spec: flowreel.Spec, display: Display, *, allow_code: bool) -> Result:
        display.say("working")
        return Result(Exit.WITH_FAILURES, version, published=True)

    monkeypatch.setattr(api, "render_with_display", render)
    assert flowreel.render(flowreel.load_spec(str(spec)), progress=False) is version
    assert capfd.readouterr() == ("", "")
    assert flowreel.render(flowreel.load_spec(str(spec))) is version
    assert capfd.readouterr() == ("", "working\n")


def test_what_is_over_the_failure_budget_raises(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpublished = [f"clip {i}: broken" for i in range(12)]
    monkeypatch.setattr(
        api,
        "render_with_display",
        lambda *_, **__: Result(Exit.OVER_BUDGET, None, published=False, unpublished=unpublished),
    )
    with pytest.raises(flowreel.OverBudget, match="not published: 12 clips failed or were rejected") as raised:
        flowreel.render(flowreel.load_spec(str(spec)))
    assert "clip 9: broken\n  ... and 2 more" in str(raised.value) and raised.value.exit_code == 4
