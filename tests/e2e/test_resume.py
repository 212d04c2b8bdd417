"""A render that is killed outright, with everything that belongs to it, goes on where it was."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.support.label_source import MakeSource

from .conftest import REPOSITORY, Flowreel, command, write_spec

LIMIT_S = 500


def test_killed_render_goes_on(
    flowreel: Flowreel, make_source: MakeSource, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    source = make_source(tmp_path / "source", sequences=16, frames=30, size=(128, 64))
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(tmp_path / "killed"), "name": "same"},
        source={"uri": str(source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint), "size": [128, 64]},
        execution={"workers": [1, 1]},
    )
    data = tmp_path / "killed" / "data"
    finished = kill_after_first_file(spec, data)
    assert 0 < len(finished) < 8, "the kill came too late to mean anything"
    assert "unfinished run" in flowreel("status", tmp_path / "killed").out

    resumed = flowreel("render", spec)
    assert resumed.code == 0, resumed.err
    assert "published version 1" in resumed.out
    assert f"{2 * len(finished)} clips already done" in resumed.err
    assert {p: p.stat().st_mtime_ns for p in finished} == finished  # none was written again

    undisturbed = flowreel("render", spec, "--set", f"dataset.uri={tmp_path / 'undisturbed'}")
    assert undisturbed.code == 0, undisturbed.err
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    runs = tmp_path / "killed" / "runs"
    left = [folder for p in runs.rglob("*.json") if (folder := p.relative_to(runs).parts[0]) != "summaries"]
    assert left in ([], ["leases"])  # of the killed run its sign of life, until it runs out


def kill_after_first_file(spec: Path, data: Path) -> dict[Path, int]:
    """SIGKILL to the whole process group once a shard is finished; returns the finished files with their times."""
    process = subprocess.Popen(
        command("render", spec),
        start_new_session=True,
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + LIMIT_S
    while not list(data.glob("*.parquet")):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(5)  # Ray's processes end by themselves when their driver is gone; what they were writing may still land
    return {p: p.stat().st_mtime_ns for p in data.glob("*.parquet")}


def contents(dataset: Path) -> dict[str, bytes]:
    """Data files and manifest by their names."""
    files = [*dataset.glob("data/*.parquet"), *dataset.glob("versions/*/manifest.parquet")]
    return {p.relative_to(dataset).as_posix(): p.read_bytes() for p in files}
