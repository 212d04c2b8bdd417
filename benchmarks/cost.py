"""What a step takes in time and memory."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


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
    before, wall, cpu = peak_mib(), time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    into.append(Cost(step, size, wall, cpu, before, peak_mib()))


def table(costs: list[Cost]) -> Iterator[str]:
    yield "| step | size | wall time | CPU time | memory before | peak memory | CPU per million |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for c in costs:
        unit = "shards" if c.step == "publish" else "clips"
        yield (
            f"| {c.step} | {c.size:,} {unit} | {c.wall_s:.1f} s | {c.cpu_s:.1f} s | {c.before_mib:,.0f} MiB"
            f" | {c.peak_mib:,.0f} MiB | {c.cpu_s / c.size * 1e6:.1f} s |"
        )
