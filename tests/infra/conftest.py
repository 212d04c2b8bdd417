"""The cluster of several nodes that infra/local_cluster.py starts."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from .manifests import INFRA

# Workers as nice as everybody else: on a busy machine they would wait for minutes.
ENV = {
    "RAY_metrics_report_interval_ms": "1000",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_worker_niceness": "0",
}


@dataclass
class LocalCluster:
    """The script at work; ``places`` is what it said last."""

    process: "subprocess.Popen[str]"
    places: dict[str, Any] = field(default_factory=dict)

    def say(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def hear(self) -> None:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the script ended with {self.process.wait()}"
        self.places = json.loads(line)


Start = Callable[..., Any]


@pytest.fixture
def local_cluster() -> Start:
    """A context manager: the script with its options; ``env`` on top of this process's environment."""

    @contextmanager
    def start(*options: object, env: dict[str, str] = ENV) -> Iterator[LocalCluster]:
        command = [sys.executable, str(INFRA / "local_cluster.py"), "--dashboard-port", "0", *map(str, options)]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean | ENV | env, cwd=INFRA.parent
        )
        cluster = LocalCluster(process)
        try:
            cluster.hear()
            yield cluster
        finally:
            if process.poll() is None:
                cluster.say("quit")
                process.wait(timeout=60)

    return start
