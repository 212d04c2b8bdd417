"""What the kinds of faults share: the source, its undisturbed dataset, and the loop from first try to published."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from flowreel.schemas.exit_codes import Exit
from tests.fault.harness.cluster import Nodes
from tests.fault.harness.engine import Load
from tests.fault.harness.place import Place, Undisturbed, Verdict
from tests.fault.harness.processes import HANGS, Driver

DONE, WITH_FAILURES = 0, 3
MOST_TRIES = 25  # commands until a version is published
DOCUMENTED = {int(code) for code in Exit} | {-9}
FINISHED = re.compile(r"([\d,]+) clips? already done")


@dataclass
class Row:
    """A line of the table."""

    fault: str
    injected: int = 0
    commands: int = 0
    versions: int = 0
    clips: int = 0
    lost: int = 0
    duplicated: int = 0
    differing: int = 0
    again: int = 0  # clips of finished data files that a later command did not count as done
    half_written: int = 0  # data files seen that were not whole
    identical: bool = True
    alone: bool = True  # of clips that are the fault themselves: they failed, and no other
    failed: list[str] = field(default_factory=list)  # reasons of clips that failed
    codes: dict[str, int] = field(default_factory=dict)  # how often commands ended with each exit code
    undocumented: int = 0  # exit codes that they should not have had
    hanging: int = 0
    allowed: set[int] = field(default_factory=set)  # exit codes; without, all of docs and -9 of those that are killed
    note: str = ""

    def ended(self, code: int, allowed: set[int] | None = None) -> None:
        """Counts how a command ended."""
        if code == HANGS:
            self.hanging += 1
            return
        self.codes[str(code)] = self.codes.get(str(code), 0) + 1
        self.undocumented += code not in (allowed or self.allowed or DOCUMENTED)

    def judge(self, verdict: Verdict) -> None:
        self.versions += 1
        self.clips += verdict.clips
        self.lost += verdict.lost
        self.duplicated += verdict.duplicated
        self.differing += verdict.differing
        self.identical &= verdict.identical
        self.failed += [str(row["reason"]).splitlines()[0] for row in verdict.failed]

    @property
    def good(self) -> bool:
        bad = self.lost + self.duplicated + self.differing + self.again + self.half_written
        return self.alone and not (bad + self.hanging + self.undocumented)


# What happens to a driver until it has ended: given it, its dataset and how many faults are left; returns how many.
Inject = Callable[[Driver, Path, int], int]


class World:
    """A place with its undisturbed dataset, and a cluster. ``most``: faults of each kind at most, if not what the kind
    says."""

    def __init__(self, place: Place, nodes: Nodes, load: Load, most: int | None = None) -> None:
        self.folder, self.place, self.nodes, self.load, self.most = place.folder, place, nodes, load, most
        self.random = random.Random(0)
        self._count, self._whole_s = 0, 0.0
        self.undisturbed = Undisturbed(place)

    @cached_property
    def undisturbed_command(self) -> Undisturbed:
        """What the command itself publishes, whose engine rounds otherwise, without faults."""
        dataset = self.fresh("undisturbed-command")
        driver, began = Driver(self.place.spec(dataset), None), time.monotonic()
        if driver.wait() != DONE:
            raise SystemExit(f"the command failed without faults:\n{driver.said()}")
        self._whole_s = time.monotonic() - began
        return Undisturbed(self.place, dataset)

    @property
    def whole_s(self) -> float:
        """Seconds that the command takes without faults, on this machine, as busy as it is."""
        return self._whole_s if self.undisturbed_command else 0.0

    def expected(self, way: "Way") -> Undisturbed:
        """What commands that are run in a way should publish."""
        return self.undisturbed_command if way.real else self.undisturbed

    def driver(self, spec: Path, load: Load) -> Driver:
        return Driver(spec, load, self.nodes.address)

    def fresh(self, name: str) -> Path:
        """A dataset that does not exist yet."""
        self._count += 1
        return self.folder / f"{self._count:03d}-{name.replace(' ', '-')}"

    def wanted(self, standard: int) -> int:
        return min(standard, self.most) if self.most else standard

    def until(
        self, count: int, row: Row, inject: Inject, alone: bool = False, real: bool = False, report: bool = False
    ) -> Row:
        """Datasets under faults until there have been ``count`` of them."""
        count = self.wanted(count)
        while row.injected < count:
            dataset = self.fresh(row.fault)
            spec = self.place.spec(dataset, report)
            way = Way(alone, real)
            self.publish(dataset, spec, row, inject, count, way)
            row.judge(self.expected(way).compare(dataset))
        return row

    def publish(
        self, dataset: Path, spec: Path, row: Row, inject: Inject, count: int, way: "Way | None" = None
    ) -> None:
        """The same command again and again until it publishes, with faults while there are some left."""
        said, way = "", way or Way()
        for _ in range(MOST_TRIES):
            done = self.undisturbed.clips_in(dataset)
            driver = Driver(spec, None if way.real else self.load, "" if way.alone else self.nodes.address)
            row.commands += 1
            row.injected += inject(driver, dataset, count - row.injected)
            code, said = driver.wait(), driver.said()
            row.ended(code)
            row.again += rendered_again(done, said)
            row.half_written += len(self.expected(way).half_written(dataset))
            if code in (DONE, WITH_FAILURES):
                return
        raise SystemExit(f"{row.fault}: not published after {MOST_TRIES} commands; the last one said\n{said}")


@dataclass(frozen=True)
class Way:
    """How commands are run. ``alone``: with a Ray of their own instead of the cluster; ``real``: the command itself,
    without an engine that takes its time."""

    alone: bool = False
    real: bool = False


def rendered_again(done: int, said: str) -> int:
    """Of ``done`` clips in data files, how many a command has not taken for done."""
    if "nothing changed" in said or "frames to render" not in said:
        return 0
    found = FINISHED.search(said)
    known = int(found[1].replace(",", "")) if found else 0
    return max(0, done - known)
