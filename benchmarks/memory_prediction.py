"""What `flowreel plan` says of memory against the peaks of a real run, at some sizes and batches.

    python -m benchmarks.memory_prediction [--cases 256x128:1 512x256:1] [--checkpoint bundled] [--readme FILE]

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
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.arguments import count, size
from benchmarks.busy import BUSY
from benchmarks.sections import README, circumstances, put_section, table
from jobs.progress import Display
from jobs.render import render
from pipeline.codec import encode_ids
from pipeline.memory import memory
from pipeline.prepare import prepare
from schemas.spec import Spec

ACTOR, BOUND, CLIPS, CLASSES = b"ray::RenderActor", 0.2, 8, (7, 8, 11, 13, 21, 22, 23, 24)
Case = tuple[tuple[int, int], int]  # size, batch


@dataclass(frozen=True)
class Peaks:
    """Bytes, foretold and measured."""

    size: tuple[int, int]
    batch: int
    precision: str
    frames: int  # of a clip
    actor_said: int
    actor: int
    driver_said: int
    driver: int

    @property
    def error(self) -> float:
        """The larger one."""
        return max(abs(self.actor_said / self.actor - 1), abs(self.driver_said / self.driver - 1))


def measure(case: Case, frames: int, checkpoint: str, folder: Path) -> Peaks:
    """In this process, which is the driver: it should have done nothing else."""
    width_height, batch = case
    _write_source(folder / "source", width_height, frames)
    spec = Spec.model_validate(
        {
            "dataset": {"uri": str(folder / "dataset"), "report": False},
            "source": {"uri": str(folder / "source")},
            "generator": {"checkpoint": checkpoint, "size": width_height, "batch": batch},
            "clips": {"frames": frames},
            "execution": {"num_gpus": 0, "num_cpus": 1, "workers": [1, 1]},
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
    driver = _peak(Path("/proc/self"))
    precision = prepared.plan.settings.precision
    return Peaks(width_height, batch, precision, frames, said.actor, max(peaks), said.driver, driver)


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


def markdown(found: list[Peaks]) -> str:
    head = [
        "size",
        "batch",
        "precision",
        "clip",
        "actor, foretold",
        "measured",
        "driver, foretold",
        "measured",
        "off by",
    ]
    rows = [
        [
            f"{p.size[0]}x{p.size[1]}",
            str(p.batch),
            p.precision,
            f"{p.frames} frames",
            *(f"{n / 1e6:,.0f} MB" for n in (p.actor_said, p.actor, p.driver_said, p.driver)),
            f"{p.error:.0%}",
        ]
        for p in found
    ]
    return table(head, rows)


def _case(text: str) -> Case:
    shape, _, batch = text.partition(":")
    return size(shape), count(batch or "1")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=_case, nargs="+", default=[((256, 128), 1), ((256, 128), 4), ((512, 256), 1)])
    parser.add_argument("--frames", type=count, default=12, help="of a clip")
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.alone:
        os.environ.update(BUSY)
        with tempfile.TemporaryDirectory(prefix="flowreel-memory-") as folder:
            print(json.dumps(asdict(measure(args.cases[0], args.frames, args.checkpoint, Path(folder)))))
        return 0
    found = []
    for (width, height), batch in args.cases:
        command = [sys.executable, "-m", "benchmarks.memory_prediction", "--alone", "--frames", str(args.frames)]
        command += ["--checkpoint", args.checkpoint, "--cases", f"{width}x{height}:{batch}"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found.append(Peaks(**json.loads(done.stdout.splitlines()[-1])))
        print(found[-1], file=sys.stderr, flush=True)
    text = markdown(found)
    print(text)
    put_section(args.readme, "benchmarks/memory_prediction", f"## Memory\n\n{circumstances()}.\n\n{text}")
    return int(any(p.error > BOUND for p in found))


if __name__ == "__main__":
    sys.exit(main())
