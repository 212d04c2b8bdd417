"""Processes and machines that go away: workers, nodes, the driver, everything, Ray's control store; SIGTERM."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.fault.harness.cluster import Nodes
from tests.fault.harness.place import data_files
from tests.fault.harness.processes import Driver
from tests.fault.harness.world import Inject, Row, World

STOPPED = 143
Strike = Callable[[Driver], int]  # ends a driver; returns how many faults that were
GCS_LIMIT_S = 180
KILLS_PER_DATASET = 4  # of drivers, before one is left in peace


def actors(world: World) -> Row:
    return world.until(24, Row("worker killed (SIGKILL)"), _again_and_again(world, world.nodes.kill_actor))


def lost_nodes(world: World) -> Row:
    row = Row("node lost (SIGKILL of its raylet), and back")
    with Nodes(2) as world.nodes:
        return world.until(6, row, _again_and_again(world, world.nodes.lose_node))


def _again_and_again(world: World, strike: Callable[[], int]) -> Inject:
    """While the driver runs, each time that a data file more is finished, and a little later: workers that would never
    get ready show nothing. ``strike`` returns how many faults it was."""

    def inject(driver: Driver, dataset: Path, left: int) -> int:
        struck, seen = 0, len(data_files(dataset))
        while struck < left and driver.wait_until(_more_than(seen, dataset)):
            seen = len(data_files(dataset))
            time.sleep(world.random.uniform(0, 1))
            struck += strike()
        driver.wait()
        return struck

    return inject


def _more_than(count: int, dataset: Path) -> Callable[[], bool]:
    return lambda: len(data_files(dataset)) > count


def drivers(world: World) -> Row:
    return world.until(8, Row("driver killed (SIGKILL), run again"), at_random_moments(world, Driver.kill))


def machines(world: World) -> Row:
    """Driver, workers, raylet, control store at once; no data file is half there when the next command looks."""
    kill = at_random_moments(world, lambda driver: min(1, driver.kill_all()))
    return world.until(4, Row("everything killed at once, run again"), kill, alone=True)


def drained(world: World) -> Row:
    row = Row("SIGTERM to the driver, run again")

    def term(driver: Driver) -> int:
        os.kill(driver.pid, signal.SIGTERM)
        code = driver.wait()
        row.alone &= code != STOPPED or "stopped by SIGTERM" in driver.said()
        return 1

    row.allowed = {0, STOPPED}  # 0: it was done meanwhile
    return world.until(6, row, at_random_moments(world, term))


def at_random_moments(world: World, strike: Strike) -> Inject:
    """Ends drivers once a random number of data files are finished, and a little later."""
    kills: dict[Path, int] = {}
    files = len(world.undisturbed.files)

    def inject(driver: Driver, dataset: Path, left: int) -> int:
        if left <= 0 or kills.get(dataset, 0) >= KILLS_PER_DATASET:
            driver.wait()
            return 0
        there = len(data_files(dataset))
        wanted = world.random.randint(there, max(there, files - 2))
        if not driver.wait_until(lambda: len(data_files(dataset)) >= wanted and " ready" in driver.said()):
            return 0
        time.sleep(world.random.uniform(0, 1.5))
        if not driver.running:
            return 0
        kills[dataset] = kills.get(dataset, 0) + 1
        return strike(driver)

    return inject


def control_stores(world: World) -> Row:
    """Ray keeps its cluster's state in the memory of one process: without it a run ends, and the next one goes on."""
    row = Row("Ray's control store (GCS) killed, cluster started anew")
    while row.injected < world.wanted(1):
        dataset = world.fresh("gcs")
        spec = world.place.spec(dataset)
        with Nodes() as nodes:
            driver = Driver(spec, world.load, nodes.address)
            row.commands += 1
            if driver.wait_until(_more_than(1, dataset)):
                nodes.kill_gcs()
                row.injected += 1
                row.note = _ending(driver)
            row.ended(driver.wait())
        world.publish(dataset, spec, row, lambda driver, *_: driver.wait() * 0, row.injected)
        row.judge(world.undisturbed.compare(dataset))
    return row


def _ending(driver: Driver) -> str:
    """How a driver ends that nobody stops."""
    began = time.monotonic()
    while driver.running and time.monotonic() - began < GCS_LIMIT_S:
        time.sleep(1)
    if driver.running:
        driver.kill()
        return f"the run still waited after {GCS_LIMIT_S} s and was killed"
    return f"the run ended with {driver.wait()} after {time.monotonic() - began:.0f} s"
