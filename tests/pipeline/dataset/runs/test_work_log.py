"""The log of who rendered what and when."""

from flowreel.pipeline.dataset.runs.work_log import PAUSE_S, WorkLog
from flowreel.schemas.outcome import Rendered, ShardOutcome


def outcome(worker: str, began: float, ended: float, frames: int = 10) -> ShardOutcome:
    return ShardOutcome("s", None, (Rendered("c", frames),), worker, {"generate": ended - began}, began, ended)


def test_shards_of_a_worker_are_one_line_until_it_pauses() -> None:
    log = WorkLog()
    given = [outcome("b", 0, 4), outcome("a", 3, 5), outcome("a", 1, 3), outcome("a", 6 + PAUSE_S, 9 + PAUSE_S)]
    assert list(log.log_each(given)) == given
    assert [(w.worker, w.began, w.ended, w.shards, w.frames) for w in log.work()] == [
        ("a", 1, 5, 2, 20),
        ("a", 6 + PAUSE_S, 9 + PAUSE_S, 1, 10),
        ("b", 0, 4, 1, 10),
    ]
    assert log.work()[0].seconds == {"generate": 4}


def test_outcomes_without_times_are_passed_on_and_not_noted() -> None:
    log = WorkLog()
    assert len(list(log.log_each([ShardOutcome("s", None, (), "w"), outcome("", 0, 1)]))) == 2
    assert log.work() == ()
