"""Collecting garbage: what goes, what stays, in which order, and what a kill in the middle leaves."""

import os
import threading
import time
from pathlib import Path

import pytest

from flowreel.jobs import render as rendering
from flowreel.pipeline.dataset.runs import lease, records
from flowreel.pipeline.dataset.runs.lease import RUNS, SWEEPS, Lease
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.runs.work_log import WorkLog
from flowreel.pipeline.dataset.versions import numbers, open_version
from flowreel.pipeline.maintenance import gc
from flowreel.pipeline.maintenance.gc import Policy
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.publish import commit
from flowreel.pipeline.publish.claim import Conflict
from flowreel.pipeline.publish.draft import draft_version
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import IntegrityError, UsageError
from tests.support.small_dataset import Quiet, Small, missing, render_here, run_records

HOUR = 3600.0
ORPHAN = f"data/{'0' * 32}.parquet"


def history(small: Small, versions: int = 3) -> None:
    """One sequence that changes with every version: each names one data file of its own."""
    for content in range(versions):
        small.add("a", content)
        rendering.render_by(render_here, small.spec(), Quiet())


def pass_time(small: Small, hours: float) -> None:
    """Everything on storage is older by so much."""
    for file in Path(small.dataset).rglob("*"):
        if file.is_file():
            stat = file.stat()
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns - int(hours * HOUR * 1e9)))


def data(small: Small) -> set[str]:
    return {info.path for info in small.store.list("data")}


def named(small: Small, number: int) -> set[str]:
    return set(open_version(small.store, number).table("shards.parquet")["path"].to_pylist())


def test_a_dry_run_says_what_a_run_then_does(small: Small) -> None:
    history(small)
    policy = Policy(keep=1, grace_s=0)
    before = sorted(Path(small.dataset).rglob("*"))
    would = gc.find(small.store, policy)
    assert sorted(Path(small.dataset).rglob("*")) == before
    assert (would.drop, would.kept, len(would.data)) == ((1, 2), (3,), 2)
    did = gc.collect(small.store, policy)
    assert did.data == would.data and did.drop == would.drop
    assert numbers(small.store) == [3] and data(small) == named(small, 3)
    assert not missing(open_version(small.store, 3))
    assert not any(Path(small.dataset, "versions", f"{n:06d}", "manifest.parquet").exists() for n in (1, 2))
    assert run_records(small.store) == []
    assert not gc.find(small.store, policy).any


def test_who_has_opened_a_version_keeps_it_for_the_grace_period(small: Small) -> None:
    history(small)
    pass_time(small, 1000)
    reader = open_version(small.store, 1)
    policy = Policy(keep=1, grace_s=24 * HOUR)
    assert gc.collect(small.store, policy).drop == (1, 2)
    with pytest.raises(UsageError, match="has no version 1; published versions: 3"):
        open_version(small.store, 1)
    pass_time(small, 23)
    assert not gc.collect(small.store, policy).any
    assert verify(reader).problems == ()  # tables and data files are all there
    pass_time(small, 2)
    gone = gc.collect(small.store, policy)
    assert len(gone.data) == 2 and data(small) == named(small, 3)
    assert sorted(p.name for p in Path(small.dataset, "versions").rglob("*.*") if "000003" not in str(p)) == []


def test_orphans_wait_for_the_grace_period(small: Small) -> None:
    history(small, 1)
    small.store.write(ORPHAN, b"12345")
    found = gc.collect(small.store, Policy(grace_s=HOUR))
    assert [i.path for i in found.waiting] == [ORPHAN] and not found.data
    pass_time(small, 2)
    found = gc.collect(small.store, Policy(grace_s=HOUR))
    assert [(i.path, i.size) for i in found.data] == [(ORPHAN, 5)]
    assert data(small) == named(small, 1)


def test_files_that_were_being_written_at_a_kill_go(small: Small) -> None:
    history(small, 1)
    left_over = Path(small.dataset, "data", f".{'0' * 32}.flowreel-tmp")
    left_over.write_bytes(b"half")
    assert not gc.collect(small.store, Policy(grace_s=0)).any  # it may be being written now
    pass_time(small, 1)
    gc.collect(small.store, Policy(grace_s=0))
    assert not left_over.exists()


def test_the_newest_version_always_stays_and_numbers_go_on(small: Small) -> None:
    history(small, 2)
    gc.collect(small.store, Policy(keep=1, grace_s=0))
    assert numbers(small.store) == [2]
    small.add("a", 77)
    result, _ = small.refresh()
    assert result.version and result.version.number == 3


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_nothing_is_deleted_while_a_kept_version_s_files_are_unknown(small: Small, harm: str) -> None:
    history(small, 2)
    shards = Path(small.dataset, "versions/000001/shards.parquet")
    shards.unlink() if harm == "missing" else shards.write_bytes(b"PAR1")
    small.store.write(ORPHAN, b"12345")
    with pytest.raises(IntegrityError, match=f"shards.parquet: {harm}"):
        gc.collect(small.store, Policy(grace_s=0))
    assert ORPHAN in data(small)


# Beside runs


def test_what_a_live_run_has_finished_stays(small: Small) -> None:
    history(small, 1)
    published = data(small)
    small.add("b", 1)
    prepared = prepare(small.spec())
    with Lease(small.store, RUNS) as alive:
        alive.hold(plan_ids=[prepared.plan.plan_id])
        (outcome,) = render_here(prepared, Ledger(prepared.plan.shards), Quiet())
        pass_time(small, 1000)
        alive.renew()
        gc.collect(small.store, Policy(grace_s=0))
        assert outcome.file and data(small) == {outcome.file.path} | published
        records.end_run(small.store, prepared.plan.plan_id)  # another driver of the same plan ends
        alive.hold(files=[outcome.file.path])  # and this one is about to publish
        gc.collect(small.store, Policy(grace_s=0))
        assert data(small) == {outcome.file.path} | published
    gc.collect(small.store, Policy(grace_s=0))
    assert data(small) == published


def test_an_interrupted_run_is_kept_for_the_grace_period_then_forgotten(small: Small) -> None:
    history(small, 1)
    published = data(small)
    small.add("b", 1)
    prepared = prepare(small.spec())
    records.save_run(small.store, prepared.plan, {})
    list(render_here(prepared, Ledger(prepared.plan.shards), Quiet()))
    pass_time(small, 47)
    assert not gc.collect(small.store, Policy(grace_s=48 * HOUR)).any
    assert list(records.load_outcomes(small.store, prepared.plan.plan_id))
    pass_time(small, 2)
    gc.collect(small.store, Policy(grace_s=48 * HOUR))
    assert records.unfinished_runs(small.store) == [] and data(small) == published


def test_a_run_renders_again_what_was_deleted_under_it(small: Small) -> None:
    """It was silent for so long that it counted as gone."""
    history(small, 1)
    published = data(small)
    small.add("b", 1)

    def slowly(prepared, done, display):  # type: ignore[no-untyped-def]
        yield from render_here(prepared, done, display)
        if not display.said[-1].endswith("rendering their clips again"):
            pass_time(small, 1000)
            gc.collect(small.store, Policy(grace_s=0))
            assert data(small) == published

    display = Quiet()
    result = rendering.render_by(slowly, small.spec(), display)
    assert "deleted meanwhile: 1 finished data file; rendering their clips again" in display.said
    assert result.version and verify(result.version).problems == ()


def test_a_run_that_is_about_to_publish_lets_a_collector_end(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "POLL_S", 0.01)
    small.add("a", 1)
    display, ended = Quiet(), threading.Event()

    def run() -> None:
        rendering.render_by(render_here, small.spec(), display)
        ended.set()

    with Lease(small.store, SWEEPS) as collector:
        thread = threading.Thread(target=run)
        thread.start()
        while not any("waiting for `flowreel gc`" in text for text in display.said):
            assert thread.is_alive()
            time.sleep(0.01)
        collector.renew()  # its age is no reason not to wait
        assert not ended.wait(0.2) and numbers(small.store) == []
    thread.join()
    assert numbers(small.store) == [1]


def test_a_collector_that_is_gone_is_not_waited_for(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "POLL_S", 0.01)
    monkeypatch.setattr(lease, "LEASE_S", 0.2)
    small.store.write(f"{SWEEPS}/killed.json", b"{}")
    began = time.monotonic()
    lease.wait_for_sweeps(small.store, time.time(), lambda text: None)
    assert time.monotonic() - began > 0.2  # nothing is known of it but that it stays as it is
    lease.wait_for_sweeps(small.store, time.time() + HOUR, lambda text: pytest.fail("it has been gone for an hour"))


def test_a_run_that_could_not_say_that_it_lives_does_not_publish(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.add("a", 1)
    display = Quiet()
    frozen = iter([True])

    def check(self: Lease) -> None:
        if next(frozen, False):
            raise lease.Stalled("the lease could not be renewed for 900 s")

    monkeypatch.setattr(Lease, "check", check)
    result = rendering.render_by(render_here, small.spec(), display)
    assert any("the lease could not be renewed for 900 s: planning again" in text for text in display.said)
    assert result.version and verify(result.version).problems == ()


def test_a_lease_that_is_not_renewed_in_time_is_noticed(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    with Lease(small.store, RUNS) as mine:
        mine.check()
        monkeypatch.setattr(lease, "LEASE_S", -1.0)
        with pytest.raises(lease.Stalled):
            mine.check()


def test_a_version_whose_base_is_dropped_meanwhile_is_planned_again(small: Small) -> None:
    history(small, 1)
    small.add("b", 5)
    slow = prepare(small.spec())
    done = Ledger(slow.plan.shards)
    for outcome in render_here(slow, done, Quiet()):
        done.add(outcome)
    small.add("a", 9)
    small.refresh(dataset={"uri": small.dataset, "keep_versions": 1})
    assert numbers(small.store) == [2]
    with pytest.raises(Conflict):  # what it builds on is gone
        rendering._committed(slow, done, WorkLog())
    small.add("c", 6)
    small.refresh(dataset={"uri": small.dataset, "keep_versions": 1})
    kept = draft_version(slow.job, slow.plan, done, open_version(small.store, 3))
    with pytest.raises(Conflict):  # its number was given, though no version has it any more
        commit.commit(slow.job, slow.plan, kept)
    assert numbers(small.store) == [3] and not missing(open_version(small.store, 3))


# Kills


CHANGES = ("write", "upload", "put_if_absent", "delete")


class Killed(BaseException):
    """What ends a process stays ended: nothing in it changes the store any more."""


def killed_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Every change of a store after so many raises."""
    left = [steps]
    for name in CHANGES:
        real = getattr(Store, name)

        def step(self: Store, *args: object, _real: object = real) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return _real(self, *args)  # type: ignore[operator]

        monkeypatch.setattr(Store, name, step)


def test_a_collector_that_is_killed_at_any_moment_leaves_whole_versions(small: Small, tmp_path: Path) -> None:
    history(small, 3)
    small.store.write(ORPHAN, b"12345")
    policy = Policy(keep=1, grace_s=0)
    steps = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            killed_after(patch, steps)
            try:
                gc.collect(small.store, policy)
                break
            except Killed:
                steps += 1
        for number in numbers(small.store):
            assert not missing(open_version(small.store, number)), f"killed before change {steps}"
    assert steps >= 5
    assert numbers(small.store) == [3] and data(small) == named(small, 3)
