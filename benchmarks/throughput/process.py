"""A way as a process of its own, and the processor time of all that it starts."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.common import REPOSITORY, commit, family
from benchmarks.throughput.told import Told, heard
from benchmarks.throughput.work import Work

WAYS = ("bare", "bare_at_once", "flowreel", "ray_data", "script")
SAMPLE_S = 1.0
TICKS = os.sysconf("SC_CLK_TCK")
# Several clips at once share the processors best if threads that wait for each other sleep, as in a worker; the bare
# loop, one clip after the other, is faster as it comes.
ENVIRONMENT = {"bare_at_once": {"OMP_WAIT_POLICY": "PASSIVE"}}


@dataclass
class Run:
    """One way, once."""

    way: str
    round: int
    whole_s: float  # of the process, from its start to its end
    start_s: float  # until its first clip was begun
    end_s: float  # after its last one
    steady_s: float
    steady_frames: int
    steady_cpu_s: float  # of it and all its children in the steady time
    others_cpu_s: float  # of all else that the machine did meanwhile
    frames: int
    stages: dict[str, float] = field(default_factory=dict)
    commit: str = ""

    @property
    def steady(self) -> float:
        """Frames a second."""
        return self.steady_frames / self.steady_s

    @property
    def others(self) -> float:
        """How many processors all else took."""
        return self.others_cpu_s / self.steady_s


def run_way(way: str, work: Work, number: int) -> Run:
    """Raises SystemExit with what it said if it fails."""
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    env |= {"RAY_worker_niceness": "0"} | ENVIRONMENT.get(way, {})
    if way.startswith("bare"):
        env |= {"OMP_NUM_THREADS": str(work.cpus)}
    began = time.time()
    command = [sys.executable, "-m", f"benchmarks.throughput.{way}", work.written()]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    clock = CpuClock(process.pid)
    out, err = process.communicate()
    clock.stop()
    if process.returncode:
        raise SystemExit(f"{way} ended with {process.returncode}:\n{err[-2000:]}")
    told = heard(out.splitlines()[-1])
    return _run(way, number, told, (began, time.time()), clock)


def _run(way: str, number: int, told: Told, lived: tuple[float, float], clock: "CpuClock") -> Run:
    first, last = told.steady
    return Run(
        way=way,
        round=number,
        whole_s=lived[1] - lived[0],
        start_s=told.began - lived[0],
        end_s=lived[1] - last,
        steady_s=last - first,
        steady_frames=told.steady_frames,
        steady_cpu_s=(ours := clock.at(last)[0] - clock.at(first)[0]),
        others_cpu_s=clock.at(last)[1] - clock.at(first)[1] - ours,
        frames=told.frames,
        stages=told.stages,
        commit=commit(),
    )


class CpuClock:
    """Processor time of a process and all its descendants, and of the whole machine, sampled."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self._spent: dict[int, float] = {}  # by process: what it had used when it was last seen
        self._samples = [(time.time(), 0.0, _machine_s())]
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def at(self, when: float) -> tuple[float, float]:
        """Seconds used until then, by the samples around: of the processes, of the machine."""
        times, ours, machine = zip(*self._samples, strict=True)
        return float(np.interp(when, times, ours)), float(np.interp(when, times, machine))

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            for pid in (self._pid, *family(self._pid)):
                try:
                    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                except OSError:  # gone meanwhile
                    continue
                self._spent[pid] = (int(fields[11]) + int(fields[12])) / TICKS
            self._samples.append((time.time(), sum(self._spent.values()), _machine_s()))


def _machine_s() -> float:
    """Processor time that was not idle, since the machine was started."""
    user, nice, system, _idle, _iowait, *interrupts = Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    return sum(map(int, (user, nice, system, *interrupts))) / TICKS
