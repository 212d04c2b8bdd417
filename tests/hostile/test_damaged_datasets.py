"""Datasets with anything in them, through every command: a sentence, never a traceback, and no wrong verdict."""

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer

from flowreel.jobs import cli
from flowreel.jobs.refresh import refresh
from tests.support.local_run import LocalRun
from tests.support.small_dataset import Quiet, render_here

from .damaged_dataset import damage, make
from .every_command import Case, run_all

EVERYDAY, ALL = range(40), range(40, 280)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, one_thread: None) -> LocalRun:
    """A dataset of two versions, and the source that it comes from."""
    from tests.support.label_source import write_source

    root = tmp_path_factory.mktemp("whole")
    write_source(root / "source")
    whole = LocalRun(root, tiny_checkpoint)
    make(whole)
    return whole


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of another length are read again after a pause. And commands are put together once, not for each call."""
    monkeypatch.setattr(cli, "app", typer.main.get_command(cli.app))
    monkeypatch.setattr("flowreel.pipeline.storage.errors.FIRST_PAUSE_S", 0)


def failures(run: LocalRun, seed: int | None, folder: Path) -> list[str]:
    """What went wrong with one damaged copy; no seed: a good one."""
    root = folder / "copy" / "dataset"
    shutil.copytree(run.dataset, root)
    clip_id = pq.read_table(run.dataset / "versions/000001/manifest.parquet")["clip_id"][0].as_py()
    done = damage(root, seed) if seed is not None else None
    kept = {"uri": str(root), "report": False, "keep_versions": 2}
    spec = run.spec(dataset=kept, failure={"max_dropped_fraction": 1})
    again = lambda: refresh(spec, 0.0, Quiet(), render_here)  # noqa: E731
    ran, whole = run_all(Case(root, done.version if done else 2, clip_id, run.dataset, folder / "scratch", again))
    shutil.rmtree(folder / "copy")
    found = [f"seed {seed} ({done and done.what}): {text}" for text in ran.tracebacks]
    if done and done.must_show and whole:
        found.append(f"seed {seed} ({done.what}): verify says that version {done.version} is intact")
    if not done and (not whole or ran.refused):
        found.append(f"a good dataset is refused, or not intact: {ran.refused}")
    return found


def check(run: LocalRun, seeds: range, folder: Path) -> None:
    found = [text for seed in seeds for text in failures(run, seed, folder)]
    kinds = {re.sub(r"seed \d+ \(.*?\): ", "", text)[-300:] for text in found}
    assert not found, f"{len(found)} failures of {len(seeds)} datasets, {len(kinds)} kinds:\n" + "\n".join(found)


def test_a_good_dataset_passes_every_command(run: LocalRun, tmp_path: Path) -> None:
    """The ground that the others stand on."""
    assert failures(run, None, tmp_path) == []


def test_damaged_datasets_end_in_a_sentence(run: LocalRun, tmp_path: Path) -> None:
    check(run, EVERYDAY, tmp_path)


@pytest.mark.slow
def test_many_damaged_datasets_end_in_a_sentence(run: LocalRun, tmp_path: Path) -> None:
    check(run, ALL, tmp_path)
