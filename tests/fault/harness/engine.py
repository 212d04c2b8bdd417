"""An engine that takes its time, and falls sick of certain labels: crashes, hangs, needs too much memory, gives NaN."""

import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.generator.engine import PlainEngine
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.generator.rollout import Frame, RolloutState
from flowreel.schemas.plan import RenderSettings

MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")  # cgroups of version 1
ROOM_BYTES = 64 * 2**20  # what a worker may still take before it is out of memory


@dataclass(frozen=True)
class Sickness:
    """What happens to a worker that meets a label id. ``once``: a file that is made then, so that it happens once."""

    kind: str  # of KINDS
    once: str = ""

    def strikes(self) -> bool:
        if not self.once:
            return True
        try:
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@dataclass
class Load:
    """For workers: loads the plain networks, with ``pause_s`` seconds of rest a frame."""

    pause_s: float = 0.0
    sick: Mapping[int, Sickness] = field(default_factory=dict)  # by label id
    counts: str = ""  # a folder where each worker leaves a file with a byte for each frame that it renders

    def __call__(self, checkpoint: Checkpoint, settings: RenderSettings) -> "SickEngine":
        return SickEngine(PlainEngine(load_generator(checkpoint, settings.device)), self)


class SickEngine:
    """The plain networks otherwise."""

    ahead, concurrent = 1, True

    def __init__(self, real: PlainEngine, load: Load) -> None:
        self._real, self._load = real, load
        self.config, self.generator = real.config, real.generator

    def encode(self, frame: Tensor, instance_BHW: Tensor | None) -> Tensor:
        encoded = self._real.encode(frame, instance_BHW)
        for label, sickness in self._load.sick.items():
            if bool((frame == label).any()) and sickness.strikes():
                encoded = KINDS[sickness.kind](encoded)
        return encoded

    def prepare(self, windows: Any) -> list[Tensor]:
        return self._real.prepare(windows)

    def step(self, state: RolloutState, looked: Tensor) -> tuple[RolloutState, Frame]:
        time.sleep(self._load.pause_s)
        if self._load.counts:
            with open(f"{self._load.counts}/{os.getpid()}", "ab") as count:
                count.write(b".")
        return self._real.step(state, looked)


def _die(_: Tensor) -> Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still here")


def _hang(encoded: Tensor) -> Tensor:
    time.sleep(3600)
    return encoded


def _nan(encoded: Tensor) -> Tensor:
    return encoded * float("nan")


def _out_of_memory(_: Tensor) -> Tensor:
    """The kernel's OOM killer ends this process: it joins a memory cgroup that it has filled already."""
    group = MEMORY_GROUPS / f"flowreel-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(ROOM_BYTES))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    hoard = [torch.ones(ROOM_BYTES) for _ in range(16)]
    raise AssertionError(f"{len(hoard)} tensors of {ROOM_BYTES} values fit")


def _no_more_memory(_: Tensor) -> Tensor:
    """The allocator refuses, as with `ulimit -v`."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM_BYTES, hard))
    try:
        return torch.ones(ROOM_BYTES)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def forget_memory_groups() -> None:
    """Removes the cgroups of workers that are gone."""
    for group in MEMORY_GROUPS.glob("flowreel-*"):
        if not (group / "cgroup.procs").read_text().strip():
            group.rmdir()


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "dies": _die,
    "hangs": _hang,
    "nan": _nan,
    "killed for memory": _out_of_memory,
    "refused memory": _no_more_memory,
}
