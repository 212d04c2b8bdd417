"""Which failures count, and how often a shard is tried again."""

import pytest

from flowreel.jobs.engine.attempts import MAX_OUTAGES, MAX_REFUSALS, Attempts
from flowreel.schemas.clip import Clip, Shard
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.outcome import Failed


def shard(*names: str) -> Shard:
    return Shard("-".join(names), tuple(Clip(name, "s", 0, 0, (), "train", 0) for name in names))


@pytest.mark.parametrize("most", [MAX_REFUSALS, MAX_OUTAGES])
def test_a_store_is_given_up_after_so_many_outages_in_a_row(most: int) -> None:
    attempts = Attempts([shard("a")], max_attempts=2)
    attempts.fill(1)
    attempt = attempts.take(alone=True)
    assert attempt is not None
    for _ in range(most):
        attempts.outage(attempt, "access denied", most)
    assert attempt.failures == 0 and len(attempts) == most
    with pytest.raises(FlowreelError, match="access denied\n  finished shards are kept; once that is fixed, run"):
        attempts.outage(attempt, "access denied", most)


def test_a_worker_s_death_in_company_is_nobody_s_fault_and_alone_it_is() -> None:
    attempts = Attempts([shard("a", "b")], max_attempts=1)
    attempts.fill(1)
    first = attempts.take(alone=True)
    assert first is not None and attempts.died(first, "died") == [] and first.failures == 0
    assert attempts.take(alone=False) is None  # a suspect runs alone
    again = attempts.take(alone=True)
    assert again is first and attempts.died(again, "died") == []
    lost = [outcome for _ in range(2) if (a := attempts.take(alone=True)) for outcome in attempts.died(a, "died")]
    assert [clip for outcome in lost for clip in outcome.clips] == [
        Failed(name, "died", attempts=1, kind="worker_died") for name in ("a", "b")
    ]


def test_a_failure_counts_and_is_queued_whether_or_not_its_outcomes_are_read() -> None:
    attempts = Attempts([shard("a")], max_attempts=2)
    attempts.fill(1)
    first = attempts.take(alone=True)
    assert first is not None
    attempts.failed(first, "no luck")
    assert first.failures == 1 and len(attempts) == 1
    again = attempts.take(alone=True)
    assert again is not None
    (lost,) = attempts.failed(again, "no luck")
    assert lost.clips == (Failed("a", "no luck", attempts=2, kind="shard_failed"),) and len(attempts) == 0
