"""Signals while a run works: shards in flight and commits are finished first."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from flowreel.jobs.engine import stop_signal as stopping
from flowreel.jobs.engine.stop_signal import postponed, stop_signal
from flowreel.schemas.errors import FlowreelError, Stopped


class Ended(BaseException):
    """What a signal does outside of the blocks."""


@pytest.fixture(autouse=True)
def _outside() -> Iterator[None]:
    def end(number: int, _: Any) -> None:
        raise Ended(number)

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_block_that_must_not_be_cut_ends_before_a_signal_counts() -> None:
    said, done = list[str](), list[str]()

    def work() -> None:
        with postponed(said.append, "publishing the version"):
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")

    with pytest.raises(Ended):
        work()
    assert done == ["whole"] and said == ["SIGTERM: publishing the version first"]


def test_a_signal_counts_also_where_the_block_fails() -> None:
    def work() -> None:
        with postponed(lambda text: None, "x"):
            signal.raise_signal(signal.SIGTERM)
            raise FlowreelError("a conflict")

    with pytest.raises(Ended):
        work()


def test_a_second_signal_cuts_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "ONCE_S", 0.0)
    reached = list[bool]()

    def work() -> None:
        with postponed(lambda text: None, "x"):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            reached.append(True)

    with pytest.raises(Ended):
        work()
    assert reached == []


def test_whoever_works_is_told_and_ends_by_itself() -> None:
    said = list[str]()

    def work() -> None:
        with stop_signal(said.append, 25) as stop:
            assert not stop.is_set()
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # at once: as `timeout` sends it
            assert stop.is_set() and stop.number == signal.SIGTERM
            raise Stopped("by itself")

    with pytest.raises(Stopped):
        work()
    assert said == ["SIGTERM: starting no more shards; those in flight have 25 s to finish"]


@pytest.mark.parametrize("error", [None, FlowreelError("Ray died")])
def test_a_request_that_nobody_heard_counts_at_the_end(error: Exception | None) -> None:
    def work() -> None:
        with stop_signal(lambda text: None, 25):
            signal.raise_signal(signal.SIGTERM)
            if error:
                raise error

    with pytest.raises(Ended):
        work()


def test_without_a_signal_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        with stop_signal(lambda text: None, 25), postponed(lambda text: None, "x"):
            assert signal.getsignal(signal.SIGTERM) != before
            raise FlowreelError("x")

    with pytest.raises(FlowreelError):
        work()
    assert signal.getsignal(signal.SIGTERM) == before
