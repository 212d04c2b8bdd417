"""How commands end: without a living Ray, without room for a worker, on signals, and killed after their commit."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import family
from flowreel.jobs.status import status
from flowreel.pipeline.storage import open_store
from tests.fault.harness.cluster import Nodes
from tests.fault.harness.place import data_files
from tests.fault.harness.processes import Driver, catches, kill, name
from tests.fault.harness.world import Inject, Row, World

PARTS = ("raylet/raylet", "gcs_server", "ray::DashboardAgent", "ray::RuntimeEnvAgent")  # of a node, by command line
FAILED, STOPPED, KILLED = 1, 143, -9


def local_nodes(world: World) -> Row:
    """A part of the Ray that a command has started for itself dies, at any moment from its start to its end."""
    row, victims = Row("Ray of a local run loses raylet, GCS or an agent (SIGKILL)"), random.Random(1)

    def inject(driver: Driver, dataset: Path, left: int) -> int:
        if left <= 0:
            return 0
        wanted = world.random.randint(0, len(world.undisturbed.files) - 2)
        part = victims.choice(PARTS)
        there: list[int] = []

        def due() -> bool:
            there[:] = [pid for pid in family(driver.pid) if part in name(pid)]
            return bool(there) and len(data_files(dataset)) >= wanted

        return min(1, kill(*there)) if driver.wait_until(due) else 0

    return world.until(10, row, inject, alone=True)


def unplaceable(world: World) -> Row:
    """A cluster of nodes with one CPU each, and workers that need two: the command ends and says so."""
    row = Row("worker that no node has room for")
    with Nodes(2) as nodes:
        for _ in range(world.wanted(2)):
            dataset = world.fresh(row.fault)
            spec = world.place.spec(dataset, execution={"num_cpus": 2, "placement_timeout_s": 5})
            driver = Driver(spec, world.load, nodes.address)
            row.ended(driver.wait(), {FAILED})
            row.commands += 1
            row.injected += 1
            said = driver.said().splitlines()[-1]
            row.alone &= "each needs 2 CPUs, and there is: 2 nodes with 1 CPU" in said
            row.note = f"`{said}`"
    return row


def moments(world: World) -> Row:
    """SIGTERM at any moment from the first at which the command's code runs to its last."""
    return _signals(world, Row("SIGTERM to `flowreel render` at any moment"), 10, (signal.SIGTERM,))


def twice(world: World) -> Row:
    """Two signals, of which the second finds the command cleaning up, or gone."""
    return _signals(world, Row("two signals to `flowreel render`"), 5, (signal.SIGTERM, signal.SIGINT))


def _signals(world: World, row: Row, count: int, numbers: tuple[int, ...]) -> Row:
    whole_s = world.whole_s

    def inject(driver: Driver, dataset: Path, left: int) -> int:
        if left <= 0 or not driver.wait_until(lambda: catches(driver.pid, signal.SIGTERM)):
            return 0
        _pause(driver, world.random.uniform(0, whole_s))
        sent = 0
        for number in numbers:
            sent += driver.signal(number)
            _pause(driver, world.random.uniform(0, 2))
        code = driver.wait()
        row.alone &= code != STOPPED or "stopped by SIGTERM" in driver.said()
        return min(1, sent)

    row.allowed = {0, STOPPED}
    return world.until(count, row, inject, alone=True, real=True)


def _pause(driver: Driver, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    driver.wait_until(lambda: time.monotonic() > until_s)


def after_commit(world: World) -> Row:
    """SIGKILL as soon as the version is there: nothing is unfinished, and the next command tidies up."""
    row = Row("driver killed (SIGKILL) between its commit and its end")
    row.allowed = {0, KILLED}

    def inject(driver: Driver, dataset: Path, left: int) -> int:
        record = dataset / "versions" / "000001" / "version.json"
        if left <= 0 or record.exists() or not driver.wait_until(record.exists, pause_s=0.001):
            return 0
        struck = kill(driver.pid)
        if driver.wait() == KILLED:
            row.alone &= not status(open_store(str(dataset)))["unfinished_runs"]
        return struck

    return world.until(5, row, _then_again(world, row, inject), alone=True, real=True, report=True)


def _then_again(world: World, row: Row, inject: Inject) -> Inject:
    """Has the same command run once more after each fault, which must find nothing to do and leave nothing."""

    def both(driver: Driver, dataset: Path, left: int) -> int:
        struck = inject(driver, dataset, left)
        if struck:
            row.half_written += len(world.undisturbed_command.half_written(dataset))
        elif (dataset / "versions").exists() and driver.wait() == 0:
            left_over = [p for p in dataset.glob("runs/*/*") if p.parent.name not in ("summaries", "leases", "claims")]
            row.alone &= not any(path.is_file() for path in left_over)
        return struck

    return both


KINDS: dict[str, Callable[[World], Row]] = {
    "local-nodes": local_nodes,
    "unplaceable": unplaceable,
    "sigterm-any-moment": moments,
    "two-signals": twice,
    "after-commit": after_commit,
}
