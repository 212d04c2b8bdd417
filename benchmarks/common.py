"""What several benchmarks share: arguments, settings of Ray, what a step takes, and the Markdown that they write."""

import argparse
import os
import platform
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
README = Path(__file__).parent / "README.md"
BUSY = {  # Ray's settings for a machine with other things to do
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # 15 would leave workers no time
    "RAY_raylet_start_wait_time_s": "300",
}


def count(text: str) -> int:
    """Parses a command-line argument: a whole number of at least 1."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Parses a command-line argument: WxH in pixels."""
    width, _, height = text.partition("x")
    return count(width), count(height)


def family(pid: int) -> list[int]:
    """Gives all descendants of a process of this machine."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield int(place.parent.name), int(fields[1])


@dataclass
class Cost:
    """What a step took."""

    step: str
    size: int
    wall_s: float
    cpu_s: float
    before_mib: float  # of memory, with the synthetic catalog
    peak_mib: float


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def measured(step: str, size: int, into: list[Cost]) -> Iterator[None]:
    """Adds to ``into`` what the block takes."""
    before, wall, cpu = peak_mib(), time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    into.append(Cost(step, size, wall, cpu, before, peak_mib()))


def put(place: Path, text: str, markers: tuple[str, str]) -> None:
    """Puts text between the markers of a file; a file that is not there yet is made of it."""
    begin, end = markers
    before, found, rest = (place.read_text() if place.exists() else f"{begin}\n{end}\n").partition(begin)
    if not found or end not in rest:
        raise SystemExit(f"{place}: no {begin} with {end} behind it; add them where the text belongs")
    place.write_text(f"{before}{begin}\n{text}{end}{rest.partition(end)[2]}")


def put_section(place: Path, name: str, text: str) -> None:
    """Does what `put` does, with the markers of ``name``; a section that is missing comes to the end, as in a new
    file."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = place.read_text() if place.exists() else "# Benchmarks\n"
    if begin not in old:
        place.write_text(f"{old.rstrip()}\n\n{begin}\n{end}\n")
    put(place, f"{text.strip()}\n", (begin, end))


def circumstances() -> str:
    """Gives date, commit and machine."""
    cpus = f"{_cpu()}, {os.cpu_count()} CPUs"
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {cpus}, Python {platform.python_version()}"


def commit() -> str:
    """Gives the commit of the code that runs; says where files differ from it."""
    command = ["git", "-C", str(README.parent), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _cpu() -> str:
    from benchmarks.report import machine  # PyTorch, which would show in the memory of those that are measured

    return str(machine()["cpu"])


def table(head: list[str], rows: list[list[str]]) -> str:
    """Gives a Markdown table; all columns but the first are aligned to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
