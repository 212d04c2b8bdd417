"""That the pipeline's benchmark runs and adds up; how fast anything is, no test says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import pipeline
from benchmarks.throughput import bare, process, script
from benchmarks.throughput.process import Run
from benchmarks.throughput.table import MARKERS, markdown
from benchmarks.throughput.told import Told
from benchmarks.throughput.work import Work, lengths, read_work, write_source
from tests.support.label_source import MakeSource


@pytest.fixture
def work(tmp_path: Path, tiny_checkpoint: Path, make_source: MakeSource, one_thread: None) -> Work:
    make_source(tmp_path / "real", sequences=1, frames=3)
    write_source(tmp_path / "real", str(tmp_path), (64, 32), lengths(2, 2))
    return Work(str(tmp_path), "out", str(tiny_checkpoint), (64, 32), 1)


def test_the_bare_loop_and_the_script_render_the_same_clips(work: Work, tmp_path: Path) -> None:
    assert read_work(work.written()) == work
    looped, alone = bare.run(work), script.run(work)
    assert [frames for _, frames in looped.done] == [frames for _, frames in alone.done] == [2, 3]
    assert sorted(frames for _, frames in bare.run(replace(work, cpus=2), at_once=True).done) == [2, 3]
    assert not (tmp_path / "out/versions").exists()  # the bare loop leaves nothing
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3 * 5


def test_steady_is_from_the_second_finished_clip_to_the_last() -> None:
    told = Told(began=10.0, done=[(12.0, 4), (14.0, 5), (17.0, 6)])
    assert told.steady == (14.0, 17.0) and told.steady_frames == 6 and told.frames == 15


def test_ratios_are_of_one_round() -> None:
    slow = Run("bare", 0, 9, 1, 1, steady_s=10, steady_frames=10, steady_cpu_s=10, others_cpu_s=0, frames=12)
    fast = replace(slow, round=1, steady_s=5)
    runs = [slow, replace(slow, way="flowreel", steady_s=12.5), fast, replace(fast, way="flowreel", steady_s=5.5)]
    (line,) = [line for line in markdown({"case": runs}, cpus=2).splitlines() if "flowreel render`**" in line]
    assert "85.5% (80.0%, 90.9%)" in line


def test_a_disturbed_run_is_made_again_and_the_calmest_counts(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = Run("bare", 0, 9, 1, 1, steady_s=10, steady_frames=10, steady_cpu_s=10, others_cpu_s=0.4, frames=12)
    coming = iter([replace(calm, others_cpu_s=3), replace(calm, others_cpu_s=2), calm])
    monkeypatch.setattr(pipeline, "run_way", lambda *_: next(coming))
    assert pipeline.calm_run("bare", work, 0, tries=2).others_cpu_s == 2
    assert pipeline.calm_run("bare", work, 0, tries=2) is calm  # the first is calm: no second


@pytest.mark.slow
def test_all_ways_stand_in_the_readme(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = pipeline.Case("tiny", (64, 32), 2, 3)
    monkeypatch.setitem(pipeline.CASES, "tiny", case)
    monkeypatch.setattr(pipeline, "checkpoint_of", lambda *_: work.checkpoint)
    readme, keep = tmp_path / "README.md", tmp_path / "runs.json"
    readme.write_text("\n".join(["before", *MARKERS, "after"]))
    pipeline.main(
        [str(tmp_path / "real"), "--cases", "tiny", "--rounds", "1", "--readme", str(readme), "--keep", str(keep)]
    )
    ((_, runs),) = json.loads(keep.read_text()).items()
    assert {run["way"] for run in runs} == set(process.WAYS) and {run["frames"] for run in runs} == {9}
    text = readme.read_text()
    assert text.startswith("before") and text.endswith("after") and "Ray Data" in text
    pipeline.main([str(tmp_path), "--rounds", "0", "--readme", str(readme), "--keep", str(keep)])  # of what is kept
    assert readme.read_text() == text
