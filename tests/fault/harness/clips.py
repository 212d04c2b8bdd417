"""Clips that are the fault themselves, and workers that run out of memory."""

import os
from dataclasses import replace
from pathlib import Path

from tests.fault.harness.engine import MEMORY_GROUPS, Sickness, forget_memory_groups
from tests.fault.harness.processes import Driver
from tests.fault.harness.world import Row, World

SICK_LABELS = (28, 29, 30, 31)  # one clip each has one of them


def poison(world: World) -> Row:
    return _sick(world, Row("clip that kills its worker"), "dies", 3, {"max_attempts": 2})


def hanging(world: World) -> Row:
    return _sick(world, Row("clip that hangs its worker"), "hangs", 2, {"max_attempts": 1, "stall_s": 20})


def nan(world: World) -> Row:
    return _sick(world, Row("clip whose frames are NaN"), "nan", 4, {"max_attempts": 3})


def _sick(world: World, row: Row, kind: str, count: int, failure: dict[str, float]) -> Row:
    """Such clips fail alone, always: their number is that of the faults."""
    labels = SICK_LABELS[: world.wanted(count)]
    dataset = world.fresh(row.fault)
    spec = world.place.spec(dataset, failure={"max_failed_fraction": 0.5, **failure})
    driver = world.driver(spec, replace(world.load, sick={label: Sickness(kind) for label in labels}))
    row.commands, row.injected, row.alone = 1, len(labels), False
    row.ended(driver.wait(), {3})
    if driver.wait() != 3:
        raise SystemExit(f"{row.fault}: exit code {driver.wait()}, 3 was expected:\n{driver.said()}")
    row.judge(world.undisturbed.compare(dataset))
    row.alone = len(row.failed) == len(labels)
    return row


def killed_for_memory(world: World) -> Row:
    row = Row("worker killed by the kernel for its memory")
    if not os.access(MEMORY_GROUPS, os.W_OK):
        row.note = f"not run: {MEMORY_GROUPS} (cgroup v1) cannot be written here"
        return row
    return _memory(world, row, "killed for memory")


def refused_memory(world: World) -> Row:
    return _memory(world, Row("worker that gets no more memory (RLIMIT_AS)"), "refused memory")


def _memory(world: World, row: Row, kind: str) -> Row:
    """Once for each clip with a sick label: tried again, it goes well."""

    def inject(driver: Driver, dataset: Path, left: int) -> int:
        driver.wait()
        forget_memory_groups()
        return len(list(world.folder.glob(f"{mark}-*")))

    while row.injected < world.wanted(6):
        dataset = world.fresh(row.fault)
        mark = f"struck-{dataset.name}"
        labels = SICK_LABELS[: world.wanted(6) - row.injected]
        sick = {label: Sickness(kind, str(world.folder / f"{mark}-{label}")) for label in labels}
        before, world.load = world.load, replace(world.load, sick=sick)
        world.publish(dataset, world.place.spec(dataset), row, inject, 0)
        world.load = before
        row.judge(world.undisturbed.compare(dataset))
    return row
