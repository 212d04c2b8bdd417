"""Rounds: sources by weight, stills made from nothing or moved, and what is learnt first."""

from collections import Counter
from dataclasses import replace

from flowreel.pipeline.training.rounds import Mix, rounds_of
from flowreel.schemas.training import ScheduleSpec

MIX = Mix((3.0, 1.0), (True, False), rounds=40, clips=2, schedule=ScheduleSpec(stills=4, moving_stills=0.25), seed=0)


def test_sources_have_as_many_rounds_as_their_weights_say() -> None:
    for epoch in range(1, 6):
        counts = Counter(r.source for r in rounds_of(MIX, epoch))
        assert abs(counts[0] - 30) <= 1 and counts.total() == 40
    few = Counter(r.source for epoch in range(1, 401) for r in rounds_of(replace(MIX, rounds=1), epoch))
    assert 260 < few[0] < 340, "also where an epoch has fewer rounds than there are sources"
    assert rounds_of(MIX, 1) != rounds_of(MIX, 2) and rounds_of(MIX, 1) == rounds_of(replace(MIX), 1)


def test_each_source_is_drawn_from_in_order() -> None:
    for source in (0, 1):
        numbers = [i for r in rounds_of(MIX, 3) if r.source == source for i in r.draws]
        assert numbers == list(range(len(numbers)))


def test_stills_are_mostly_made_from_nothing_and_clips_are_clips() -> None:
    rounds = [r for epoch in range(1, 21) for r in rounds_of(MIX, epoch)]
    assert all(not r.alone and len(r.draws) == 2 for r in rounds if r.source == 1)
    alone = [r for r in rounds if r.source == 0 and r.alone]
    assert all(len(r.draws) == 8 and not r.half for r in alone)
    assert 0.7 < len(alone) / sum(r.source == 0 for r in rounds) < 0.8


def test_first_come_images_at_half_the_size_then_images_then_clips() -> None:
    """Eight images a round, 40 rounds an epoch."""
    schedule = MIX.schedule.model_copy(update={"half_size": 8 * 20, "clips_from": 8 * 60, "moving_stills": 1.0})
    rounds = [r for epoch in (1, 2) for r in rounds_of(replace(MIX, schedule=schedule), epoch)]
    assert [r.half for r in rounds] == [True] * 20 + [False] * 60
    assert [r.alone for r in rounds] == [True] * 60 + [False] * 20
    assert {r.source for r in rounds[:20]} == {0, 1}, "single frames of clips, too"
