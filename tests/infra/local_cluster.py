"""The script infra/local_cluster.py as tests hold it, and what starts it."""

import json
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

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


class Start(Protocol):
    """Starts the script with its options and ends it; ``env`` comes on top of this process's environment."""

    def __call__(self, *options: object, env: Mapping[str, str] = ENV) -> AbstractContextManager[LocalCluster]: ...
