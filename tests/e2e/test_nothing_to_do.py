"""A render that finds its dataset up to date: no Ray, no PyTorch, nothing written."""

import subprocess
import sys
from pathlib import Path

from tests.support.local_run import LocalRun

from .conftest import LIMIT_S, REPOSITORY, write_spec

CODE = """
import sys
from flowreel.jobs.cli import run
from flowreel.jobs.terminal.exit import exit_process
code = run()
print(sorted({"ray", "torch", "numba"} & set(sys.modules)))
exit_process(code)
"""


def test_nothing_to_do_needs_neither_ray_nor_pytorch(
    local_run: LocalRun, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    local_run.publish(local_run.prepare())
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(local_run.dataset)},
        source={"uri": str(local_run.source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint), "batch": 2},
        clips={"frames": 3},
        split={"train": 1.0},
    )
    before = {p: p.stat().st_mtime_ns for p in local_run.dataset.rglob("*") if p.is_file()}
    command = [sys.executable, "-c", CODE, "render", str(spec)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=REPOSITORY, check=True)
    assert "nothing changed: version 1" in ended.stdout and ended.stdout.endswith("\n[]\n")
    assert "(0 files read)" in ended.stderr
    assert {p: p.stat().st_mtime_ns for p in local_run.dataset.rglob("*") if p.is_file()} == before
