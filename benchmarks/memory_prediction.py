"""What `flowreel plan` says of memory against the peaks of a real run: generators, sizes, batches, precisions.

    python -m benchmarks.memory_prediction [--cases bundled:256x128:4 label2city_1024_g1:512x256:1:bfloat16 ...]

Each case renders a few clips on Ray, with a worker and a driver of its own. The table goes into benchmarks/README.md.
Exit code 1 if a prediction is off by more than 20 %.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.common import BUSY, README, circumstances, count, put_section, size, table
from flowreel.jobs.render import render
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.generator.checkpoint import BUNDLED
from flowreel.pipeline.planning.memory_estimate import memory
from flowreel.pipeline.planning.prepare import prepare
from flowreel.schemas.spec import Spec

ACTOR, BOUND, CLIPS, CLASSES = b"ray::RenderActor", 0.2, 8, (7, 8, 11, 13, 21, 22, 23, 24)
CASES = (
    "bundled:256x128:1",
    "bundled:256x128:4",
    "bundled:512x256:1",
    "bundled:512x256:1:bfloat16",
    "label2city_1024_g1:512x256:1",
    "label2city_1024_g1:512x256:1:bfloat16",
)


@dataclass(frozen=True)
class Case:
    """What is rendered, and by how many processors."""

    generator: str  # `bundled`, or an official architecture with random weights
    size: tuple[int, int]  # width, height
    batch: int
    precision: str
    cpus: int = 1
    frames: int = 30  # of a clip
    checkpoint: str = BUNDLED  # where the generator lies


@dataclass(frozen=True)
class Peaks:
    """Bytes, predicted and measured."""

    actor_said: int
    actor: int
    driver_said: int
    driver: int

    @property
    def error(self) -> float:
        """The larger one."""
        return max(abs(self.actor_said / self.actor - 1), abs(self.driver_said / self.driver - 1))


def measure(case: Case, folder: Path) -> Peaks:
    """In this process, which is the driver: it should have done nothing else."""
    _write_source(folder / "source", case.size, case.frames)
    generator = {"checkpoint": case.checkpoint, "size": case.size, "batch": case.batch, "precision": case.precision}
    spec = Spec.model_validate(
        {
            "dataset": {"uri": str(folder / "dataset"), "report": False},
            "source": {"uri": str(folder / "source")},
            "generator": generator,
            "clips": {"frames": case.frames},
            "execution": {"num_gpus": 0, "num_cpus": case.cpus, "workers": [1, 1]},
        }
    )
    prepared = prepare(spec, dry=True)
    said, ended, peaks = memory(prepared), threading.Event(), [0]

    def watch() -> None:
        while not ended.wait(0.1):
            peaks.extend(_actors())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        render(spec, Display())
    finally:
        ended.set()
        watcher.join()
    return Peaks(said.actor, max(peaks), said.driver, _peak(Path("/proc/self")))


def _write_source(place: Path, width_height: tuple[int, int], frames: int) -> None:
    rng, (width, height) = np.random.default_rng(0), width_height
    for clip in range(CLIPS):
        labels = place / f"seq_{clip:03d}" / "labels"
        labels.mkdir(parents=True)
        for t in range(frames):
            blocks = rng.choice(CLASSES, (height // 16, width // 16)).astype(np.uint8)
            (labels / f"{t:06d}.png").write_bytes(encode_ids(np.kron(blocks, np.ones((16, 16), np.uint8))))


def _actors() -> Iterator[int]:
    """Peaks of actors that this process has started, through Ray's node."""
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if (proc / "cmdline").read_bytes().startswith(ACTOR) and _below_me(proc):
                yield _peak(proc)
        except OSError:
            continue


def _below_me(proc: Path) -> bool:
    while proc.name not in ("0", "1"):
        if int(proc.name) == os.getpid():
            return True
        proc = proc.parent / (proc / "stat").read_text().rpartition(")")[2].split()[1]
    return False


def _peak(proc: Path) -> int:
    """The most resident memory so far, in bytes."""
    return next(
        int(line.split()[1]) * 1024 for line in (proc / "status").read_text().splitlines() if line.startswith("VmHWM:")
    )


def markdown(found: dict[Case, Peaks]) -> str:
    told = "actor, predicted | measured | driver, predicted | measured | off by"
    head = ["generator", "size", "batch", "precision", "CPUs", "clip", *told.split(" | ")]
    rows = [
        [
            *(f"`{case.generator}`", f"{case.size[0]}x{case.size[1]}", str(case.batch), case.precision),
            *(str(case.cpus), f"{case.frames} frames"),
            *(f"{n / 1e6:,.0f} MB" for n in (p.actor_said, p.actor, p.driver_said, p.driver)),
            f"{p.error:.0%}",
        ]
        for case, p in found.items()
    ]
    return table(head, rows)


def _case(text: str) -> Case:
    given = text.split(":")
    generator, shape, batch, precision = given + ["bundled", "256x128", "1", "float32"][len(given) :]
    return Case(generator, size(shape), count(batch), precision)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shape = "GENERATOR:WxH[:BATCH[:PRECISION]]"
    parser.add_argument("--cases", type=_case, metavar=shape, nargs="+", default=[_case(text) for text in CASES])
    parser.add_argument("--frames", type=count, default=30, help="of a clip; shorter jobs end before their peak (30)")
    parser.add_argument("--cpus", type=count, default=os.cpu_count(), help="of the worker (all)")
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--alone", metavar="JSON", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="flowreel-memory-") as folder:
        if args.alone:
            os.environ.update(BUSY)
            print(json.dumps(asdict(measure(Case(**json.loads(args.alone)), Path(folder)))))
            return 0
        cases = [replace(case, cpus=args.cpus, frames=args.frames) for case in args.cases]
        found = {case: _alone(case, Path(folder)) for case in cases}
    text = markdown(found)
    print(text)
    put_section(args.readme, "benchmarks/memory_prediction", f"## Memory\n\n{circumstances()}.\n\n{text}")
    return int(any(p.error > BOUND for p in found.values()))


def _alone(case: Case, folder: Path) -> Peaks:
    """By a process of its own."""
    from benchmarks.subject import checkpoint_of  # PyTorch, which a driver does without

    case = replace(case, checkpoint=checkpoint_of(case.generator, folder))
    command = [sys.executable, "-m", "benchmarks.memory_prediction", "--alone", json.dumps(asdict(case))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    peaks = Peaks(**json.loads(done.stdout.splitlines()[-1]))
    print(case, peaks, file=sys.stderr, flush=True)
    return peaks


if __name__ == "__main__":
    sys.exit(main())
