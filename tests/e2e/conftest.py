"""Running the command line as users do, and reading datasets with nothing but plain pyarrow."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
LIMIT_S = 500  # seconds on a quiet machine
plain_path = pytest.mark.skipif(
    " " in sys.executable, reason=f"Ray gives bash the job's interpreter unquoted: {sys.executable}"
)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


Flowreel = Callable[..., Ended]


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "flowreel", *map(str, args)]


@pytest.fixture
def flowreel() -> Flowreel:
    """Runs `flowreel ARGS` in a process of its own."""

    def run(*args: object) -> Ended:
        env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
        done = subprocess.run(
            command(*args), capture_output=True, text=True, timeout=LIMIT_S, cwd=REPOSITORY, env=env, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def write_spec(place: Path, **groups: dict[str, Any]) -> Path:
    """A spec file for one CPU worker; ``groups`` are merged into it."""
    tree: dict[str, Any] = {"execution": {"num_gpus": 0, "num_cpus": 1, "workers": [1, 2]}}
    for name, group in groups.items():
        tree[name] = {**tree.get(name, {}), **group}
    place.write_text(yaml.safe_dump(tree))
    return place
