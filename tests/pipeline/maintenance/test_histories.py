"""Random histories of sources that come, change and go, refreshes, collections, kills and readers.

Whatever happens in whatever order: what an existing version names is there, and who has opened a version can read all
of it until the grace period after its end is over.
"""

import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flowreel.jobs.render import render_by
from flowreel.pipeline.dataset.runs import lease
from flowreel.pipeline.dataset.versions import Version, numbers, open_version
from flowreel.pipeline.maintenance import compaction, gc
from flowreel.pipeline.maintenance.gc import Policy
from flowreel.pipeline.storage import Store
from tests.support.small_dataset import Quiet, Small, missing, render_here

from .test_gc import CHANGES, HOUR, Killed, killed_after

NAMES = ["a", "b", "c", "d"]
GRACE_H = 10
PATIENCE_S = 0.3  # how long another process is given to run before the one that was stopped goes on


class Histories(RuleBasedStateMachine):
    """One dataset. Time passes by making files older."""

    checkpoint: Path

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.small = Small(self.root / "source", str(self.root / "dataset"), self.checkpoint)
        self.readers: list[tuple[Version, float]] = []  # with the time at which each opened its version
        self.highest = 0
        self.now_h = 0.0
        self.small.add("a", 1)
        self.tick = 1
        self.refresh(2)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    @rule(name=st.sampled_from(NAMES), frames=st.integers(1, 3))
    def change(self, name: str, frames: int) -> None:
        self.tick += 1
        self.small.add(name, self.tick, frames)

    @precondition(lambda self: len(self.there()) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.small.remove(data.draw(st.sampled_from(self.there())))

    @rule(keep=st.integers(1, 3))
    def refresh(self, keep: int) -> None:
        result, _ = self.small.refresh(
            grace_s=GRACE_H * HOUR, dataset={"uri": self.small.dataset, "keep_versions": keep}
        )
        assert result.version is not None
        assert set(result.version.manifest()["sequence_id"].to_pylist()) == set(self.there())

    @rule(keep=st.integers(1, 3), grace_h=st.sampled_from([0, GRACE_H]))
    def collect(self, keep: int, grace_h: float) -> None:
        self.policed(grace_h)
        gc.collect(self.small.store, Policy(keep, grace_h * HOUR))

    @rule()
    def compact(self) -> None:
        compaction.compact(self.small.store, str)

    @rule(hours=st.sampled_from([1.0, 11.0]))
    def wait(self, hours: float) -> None:
        self.now_h += hours
        older(self.root / "dataset", hours)

    @rule(steps=st.integers(0, 25), what=st.sampled_from(["refresh", "collect", "compact"]))
    def kill(self, steps: int, what: str) -> None:
        """The process ends at its n-th change of the store."""
        with pytest.MonkeyPatch.context() as patch:
            killed_after(patch, steps)
            with suppress(Killed):
                if what == "refresh":
                    self.refresh(2)
                else:
                    self.collect(1, 0) if what == "collect" else self.compact()
        for folder in (lease.RUNS, lease.SWEEPS):  # until others notice, minutes go by
            older(self.root / "dataset" / folder, 1)

    @rule(steps=st.integers(0, 12), first=st.sampled_from(["refresh", "collect", "compact"]))
    def overlap(self, steps: int, first: str) -> None:
        """One process stops at its n-th change of the store, another one runs, then the first goes on."""
        self.policed(0)
        run = {
            "refresh": lambda: render_by(render_here, self.small.spec(), Quiet()),
            "collect": lambda: gc.collect(self.small.store, Policy(1, 0)),
            "compact": lambda: compaction.compact(self.small.store, str),
        }
        failed: list[BaseException] = []

        def guarded(what: str) -> None:
            try:
                run[what]()
            except BaseException as error:
                failed.append(error)

        other = threading.Thread(target=guarded, args=("refresh" if first == "collect" else "collect",))
        with pytest.MonkeyPatch.context() as patch:
            one = threading.Thread(target=guarded, args=(first,))
            interrupted_by(patch, one, steps, other)
            one.start()
            one.join()
            if not other.ident:
                other.start()
            other.join()
        assert not failed, failed

    @rule()
    def read(self) -> None:
        self.readers.append((open_version(self.small.store), self.now_h))

    @invariant()
    def what_is_named_is_there(self) -> None:
        if not hasattr(self, "root"):
            return
        there = numbers(self.small.store)
        assert there and there[-1] >= self.highest  # the newest stays, so no number is given twice
        self.highest = there[-1]
        for number in there:
            assert missing(open_version(self.small.store, number)) == []
        for version, opened_h in self.readers:
            if self.now_h - opened_h < GRACE_H:
                assert missing(version) == []

    def policed(self, grace_h: float) -> None:
        """Without a grace period, a collector owes nothing to those who have opened other versions."""
        if grace_h < GRACE_H:
            self.readers.clear()

    def there(self) -> list[str]:
        return sorted({path.parents[1].name for path in self.small.source.glob("*/labels/*.png")})


def older(folder: Path, hours: float) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            stat = file.stat()
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns - int(hours * HOUR * 1e9)))


def interrupted_by(patch: pytest.MonkeyPatch, one: threading.Thread, steps: int, other: threading.Thread) -> None:
    """Before the change number ``steps`` of thread ``one``, ``other`` is started, and given time to end."""
    left = [steps]
    for name in CHANGES:
        real = getattr(Store, name)

        def step(self: Store, *args: object, _real: object = real) -> object:
            if threading.current_thread() is one:
                left[0] -= 1
                if left[0] == -1:
                    other.start()
                    other.join(PATIENCE_S)
            return _real(self, *args)  # type: ignore[operator]

        patch.setattr(Store, name, step)


def histories(monkeypatch: pytest.MonkeyPatch, checkpoint: Path, examples: int, steps: int) -> None:
    monkeypatch.setattr(lease, "POLL_S", 0.01)
    machine = type("Machine", (Histories,), {"checkpoint": checkpoint})
    found = machine.TestCase
    found.settings = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    found("runTest").runTest()


def test_no_history_loses_what_a_version_names(
    monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path, one_thread: None
) -> None:
    histories(monkeypatch, tiny_checkpoint, 6, 10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_long_history_loses_what_a_version_names(
    monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path, one_thread: None
) -> None:
    histories(monkeypatch, tiny_checkpoint, 60, 25)
