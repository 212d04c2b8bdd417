"""A run that is killed between its commit and its end, and a store that refuses after rendering."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from flowreel.jobs.refresh import refresh
from flowreel.jobs.render import render_by
from flowreel.jobs.status import status
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.maintenance import gc
from flowreel.pipeline.maintenance.gc import Policy
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.schemas.errors import FlowreelError, StorageError
from flowreel.schemas.outcome import ShardOutcome
from tests.support.small_dataset import Quiet, Small, render_here, run_records

NOBODY = "0" * 32


@pytest.fixture
def killed(small: Small) -> Small:
    """A dataset whose run was killed after its commit: its records and its claim of the number are still there."""
    small.add("a", 1)
    small.add("b", 2)
    kept: dict[str, bytes] = {}

    def keeping(prepared: Prepared, done: Ledger, display: Display) -> Generator[ShardOutcome, None, None]:
        yield from render_here(prepared, done, display)
        kept.update({path: small.store.read(path) for path in run_records(small.store) if "/leases/" not in path})

    render_by(keeping, small.spec(), Quiet())
    assert run_records(small.store) == [] and len(kept) >= 2
    for path, data in kept.items():
        small.store.write(path, data)
    small.store.write("runs/claims/000001.json", b"{}")
    return small


def test_status_does_not_call_it_unfinished(killed: Small) -> None:
    assert run_records(killed.store)
    assert status(killed.store)["unfinished_runs"] == []
    killed.store.write(f"runs/{NOBODY}/run.json", json.dumps({"shards": 2}).encode())
    assert [run["plan_id"] for run in status(killed.store)["unfinished_runs"]] == [NOBODY]


def test_gc_deletes_its_records_at_once(killed: Small) -> None:
    garbage = gc.collect(killed.store, Policy(None, 3600.0))
    assert garbage.records and not garbage.data and not garbage.drop
    assert run_records(killed.store) == []


def test_the_next_refresh_tidies_up_and_renders_nothing(killed: Small) -> None:
    display = Quiet()
    result, _ = killed.refresh(display, dataset={"report": True})
    assert not result.published and result.version is not None and result.version.number == 1
    assert "tidying up what is left of the run that published version 1" in display.said
    assert [path for path in run_records(killed.store) if "/claims/" not in path] == []
    assert killed.store.exists("versions/000001/report/index.html")


def test_records_that_vanish_while_gc_reads_them_are_no_error(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.add("a", 1)
    small.refresh()
    small.add("b", 2)

    def beside(prepared: Prepared, done: Ledger, display: Display) -> Generator[ShardOutcome, None, None]:
        yield from render_here(prepared, done, display)
        real = type(small.store).read

        def ending(store: object, path: str, *more: object, **named: object) -> bytes:
            """The run ends just before its record is read."""
            if "/outcomes/" in path:
                small.store.delete(path)
            return real(store, path, *more, **named)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(type(small.store), "read", ending)
            assert gc.find(small.store, Policy(None, 0.0)).drop == ()

    result = render_by(beside, small.spec(), Quiet())
    assert result.published


def test_a_store_that_refuses_after_rendering_is_a_failure_and_no_wrong_usage(small: Small) -> None:
    small.add("a", 1)

    def then_refused(prepared: Prepared, done: Ledger, display: Display) -> Generator[ShardOutcome, None, None]:
        yield from render_here(prepared, done, display)
        Path(small.dataset, "versions").write_text("a file where a folder should be")

    with pytest.raises(StorageError) as raised:
        render_by(then_refused, small.spec(), Quiet())
    assert raised.value.exit_code == 1 and StorageError("x").exit_code == 2


def test_what_retention_cannot_do_is_said_with_what_is_there(small: Small) -> None:
    small.add("a", 1)

    def damaging(prepared: Prepared, done: Ledger, display: Display) -> Generator[ShardOutcome, None, None]:
        yield from render_here(prepared, done, display)
        small.store.write(f"runs/leases/{NOBODY}.json", b"damaged: what a live run needs is unknown")

    with pytest.raises(FlowreelError) as raised:
        refresh(small.spec(dataset={"keep_versions": 1}), 0.0, Quiet(), damaging)
    assert raised.value.exit_code == 1
    assert "is published and whole" in str(raised.value) and "old versions could not be removed" in str(raised.value)
