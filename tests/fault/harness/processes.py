"""Processes of this machine, from /proc: drivers that render, what belongs to them, and how they are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.common import REPOSITORY, family
from tests.fault.harness.engine import Load

ACTOR = "ray::RenderActor"
LIMIT_S = 600.0  # after which a driver counts as hanging
HANGS = -1000  # in place of an exit code


class Driver:
    """`flowreel render` as a process. What it says goes into a file."""

    def __init__(
        self, spec: Path, load: Load | None, address: str = "", *options: str, log: Path | None = None
    ) -> None:
        """``load``: None for the command itself. ``address``: of a Ray cluster; without, the command starts Ray on
        this machine."""
        env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        if address:
            env["RAY_ADDRESS"] = address
        command = [sys.executable, "-m", *_command(spec, load), *options]
        self.log = log or spec.with_suffix(".log")
        with self.log.open("ab") as said:
            self._start = said.tell()
            self.process = subprocess.Popen(
                command, cwd=REPOSITORY, env=env, stdout=said, stderr=said, start_new_session=True
            )
        self.pid = self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self) -> int:
        """Its exit code; HANGS, after killing it, if it does not end."""
        try:
            return self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill_all()
            self.process.returncode = HANGS
            return HANGS

    def said(self) -> str:
        return self.log.read_bytes()[self._start :].decode(errors="replace")

    def wait_until(self, condition: Callable[[], bool], pause_s: float = 0.05) -> bool:
        """Whether it came true while the driver was running, which it may do for LIMIT_S."""
        began = time.monotonic()
        while self.running and time.monotonic() - began < LIMIT_S:
            if condition():
                return True
            time.sleep(pause_s)
        return False

    def signal(self, number: int) -> int:
        """Sends a signal; returns how many processes got it."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return 0
        return int(self.running)

    def actors(self) -> list[int]:
        """Of a driver that has its own Ray: workers whose generator is loaded or loading."""
        return [pid for pid in family(self.pid) if name(pid).startswith(ACTOR)]

    def kill(self) -> int:
        """SIGKILL; returns how many processes that were: one."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        return 1

    def kill_all(self) -> int:
        """SIGKILL to it and to all that it has started, Ray with its workers: a machine that loses power. How many."""
        pids = family(self.pid)
        kill(self.pid, *pids)
        self.process.wait()
        return 1 + len(pids)


def _command(spec: Path, load: Load | None) -> list[str]:
    if load is None:
        return ["flowreel", "render", str(spec)]
    sick = {label: [*asdict(sickness).values()] for label, sickness in load.sick.items()}
    settings = {"pause_s": load.pause_s, "sick": sick, "counts": load.counts}
    return ["tests.fault.harness.driver", str(spec), json.dumps(settings)]


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt")), 0)
    return bool(mask >> (number - 1) & 1)


def kill(*pids: int) -> int:
    """SIGKILL; returns how many there were."""
    count = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        count += 1
    return count


def name(pid: int) -> str:
    """Its command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
