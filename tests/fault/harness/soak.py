"""Renders tiny clips for as long as asked under random faults, and says what was lost and what grew.

    python -m tests.fault.harness.soak docs/faults.md [--seconds 300] [--sequences 120]

One driver renders one dataset after the other on a Ray cluster of this machine, while a worker is killed now and then.
Each version is compared with one that was rendered without faults and without Ray. Memory, open files and threads are
those of the driver after its first and its last version, and of the workers that lived longest, once warm and at their
end. The figures go between the markers of the file. Exit code 1 if a clip was lost, is there twice or differs.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import BUSY, count, put
from flowreel.jobs.render import render
from flowreel.jobs.terminal.progress import Display
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.parse import parse_spec
from tests.fault.harness.cluster import Nodes
from tests.fault.harness.engine import Load
from tests.fault.harness.place import Place, Undisturbed

MOST_TRIES = 20
KILL_EVERY_S = 20.0
BEGIN, END = "<!-- tests/fault/harness/soak.py -->", "<!-- end of the soak -->"


@dataclass
class Use:
    """What a process holds."""

    rss_mb: float
    files: int  # open descriptors
    threads: int

    @classmethod
    def of(cls, pid: int) -> "Use":
        proc = Path(f"/proc/{pid}")
        pages = int((proc / "statm").read_text().split()[1])
        return cls(pages * 4096 / 1e6, len(os.listdir(proc / "fd")), len(os.listdir(proc / "task")))


@dataclass
class Watch:
    """Samples of the driver (this process) and of workers, each second."""

    nodes: Nodes
    driver: list[Use] = field(default_factory=list)
    workers: dict[int, list[Use]] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    kills: int = 0

    def run(self) -> None:
        killed = time.monotonic()
        while not self.ended.wait(1.0):
            for pid in self.nodes.actors():
                try:
                    self.workers.setdefault(pid, []).append(Use.of(pid))
                except OSError:  # gone meanwhile
                    continue
            if time.monotonic() - killed > KILL_EVERY_S:
                killed = time.monotonic()
                self.kills += self.nodes.kill_actor()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="Markdown file with the markers")
    parser.add_argument("--seconds", type=count, default=300)
    parser.add_argument("--sequences", type=count, default=120, help="clips of a version")
    options = parser.parse_args()
    for name, value in BUSY.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="flowreel-soak-", ignore_cleanup_errors=True) as folder, Nodes() as nodes:
        text, good = soak(Place(Path(folder), options.sequences), nodes, options.seconds)
    print(text)
    put(options.out, text, (BEGIN, END))
    return 0 if good else 1


def soak(place: Place, nodes: Nodes, seconds: int) -> tuple[str, bool]:
    """The report, and whether all went well."""
    os.environ["RAY_ADDRESS"] = nodes.address
    undisturbed, watch, sums = Undisturbed(place), Watch(nodes), Counter[str]()
    watcher = threading.Thread(target=watch.run, daemon=True)
    watcher.start()
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        _round(place, undisturbed, sums)
        watch.driver.append(Use.of(os.getpid()))
    watch.ended.set()
    watcher.join()
    return _report(watch, sums, time.monotonic() - began), not (sums["lost"] + sums["duplicated"] + sums["differing"])


def _round(place: Place, undisturbed: Undisturbed, sums: Counter[str]) -> None:
    """One dataset, published by as many tries as it takes."""
    dataset = place.folder / f"soak-{sums['versions']:05d}"
    spec: Any = parse_spec(place.spec(dataset).read_text())
    for _ in range(MOST_TRIES):
        sums["tries"] += 1
        try:
            render(spec, Display(), load=Load(0.01))
            break
        except FlowreelError as error:
            print(error, file=sys.stderr)
    verdict = undisturbed.compare(dataset)
    sums.update(versions=1, clips=verdict.clips, lost=verdict.lost, duplicated=verdict.duplicated)
    sums.update(differing=verdict.differing, failed=len(verdict.failed), other_bytes=not verdict.identical)


def _report(watch: Watch, sums: Counter[str], seconds: float) -> str:
    lines = [
        f"{seconds:.0f} s: {sums['clips']:,} clips in {sums['versions']} versions by {sums['tries']} tries, while"
        f" {watch.kills} workers were killed: {sums['lost']} lost, {sums['duplicated']} duplicated,"
        f" {sums['differing']} differing, {sums['failed']} failed; {sums['other_bytes']} versions with other files.",
        "",
        "| process | memory first, MB | last | open files first | last | threads first | last |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        _line("driver, after its first and its last version", watch.driver),
    ]
    longest = sorted(watch.workers.values(), key=len)[-2:]
    lines += [_line(f"worker that lived for {len(samples)} s", samples[len(samples) // 4 :]) for samples in longest]
    return "\n".join([*lines, ""])


def _line(name: str, samples: list[Use]) -> str:
    first, last = samples[0], samples[-1]
    cells = [f"{first.rss_mb:.0f}", f"{last.rss_mb:.0f}", first.files, last.files, first.threads, last.threads]
    return f"| {name} | " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    sys.exit(main())
