"""What commands import decides how soon they answer: PyTorch and Ray take seconds, pyarrow most of one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import LIMIT_S, REPOSITORY, write_spec

CODE = """
import sys
from flowreel.jobs.cli import run
from flowreel.jobs.terminal.exit import exit_process
code = run()
print("\\nimported:", *sorted({"ray", "torch", "numba", "scipy", "pyarrow", "numpy"} & set(sys.modules)))
exit_process(code)
"""


def imported(*arguments: object) -> set[str]:
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=REPOSITORY)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize("command", [(), ("render",), ("verify",), ("train",), ("import-checkpoint",), ("submit",)])
def test_help_needs_none_of_them(command: tuple[str, ...]) -> None:
    assert imported(*command, "--help") == set()


def test_looking_needs_neither_ray_nor_pytorch(local_run: Any) -> None:
    local_run.publish(local_run.prepare())
    dataset = local_run.dataset
    for command in (("status", dataset), ("diff", dataset, 1, 1), ("verify", dataset)):
        assert imported(*command) & {"ray", "torch", "numba"} == set(), command


def test_planning_needs_neither_ray_nor_pytorch(local_run: Any, tiny_checkpoint: Path, tmp_path: Path) -> None:
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(local_run.dataset)},
        source={"uri": str(local_run.source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint), "batch": 2},
    )
    assert imported("plan", spec) & {"ray", "torch", "numba", "scipy"} == set()
