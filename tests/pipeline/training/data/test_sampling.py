"""Draws: lengths, spacings, starts and augmentation as vid2vid-spec 10.2 has them, the same for the same numbers."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from flowreel.pipeline.training.data.sampling import Draw, Sampling, draw, draw_round, least_frames, whole

HOW = Sampling(context=2, clip_frames=6, load_frames=2, size=(96, 64))
LENGTHS = (30, 9, 12)


def many(how: Sampling, lengths: tuple[int, ...] = LENGTHS, count: int = 300) -> list[Draw]:
    return [draw(lengths, how, 0, 1, i) for i in range(count)]


def test_each_turn_visits_every_sequence_once_in_another_order() -> None:
    turns = [tuple(d.sequence for d in many(HOW)[i : i + 3]) for i in range(0, 300, 3)]
    assert all(sorted(turn) == [0, 1, 2] for turn in turns)
    assert len(set(turns)) == 6


def test_the_same_numbers_give_the_same_draw_and_others_another() -> None:
    how = replace(HOW, max_stride=3, flip=0.5, crop=(32, 32), empty_start=0.5)
    assert draw(LENGTHS, how, 5, 2, 7) == draw(LENGTHS, how, 5, 2, 7)
    others = [draw(LENGTHS, how, *numbers) for numbers in ((5, 2, 7), (6, 2, 7), (5, 3, 7), (5, 2, 10))]
    assert len(set(others)) == 4


@pytest.mark.parametrize(
    ("length", "clip", "load", "frames"),
    [(30, 6, 2, 8), (30, 6, 4, 6), (5, 6, 2, 4), (8, 6, 1, 8), (4, 30, 1, 4), (3, 6, 2, 3)],
)
def test_a_clip_is_whole_loads_and_what_comes_before(length: int, clip: int, load: int, frames: int) -> None:
    drawn = draw((length,), replace(HOW, clip_frames=clip, load_frames=load), 0, 1, 0)
    assert drawn.frames == frames and drawn.generated == frames - 2
    assert max(drawn.indices) < length


def test_starts_and_spacings_are_uniform_over_what_fits() -> None:
    drawn = many(replace(HOW, max_stride=4), (20,), 4000)  # 7 steps: strides of 1 and 2 fit
    strides = Counter(d.stride for d in drawn)
    assert set(strides) == {1, 2} and 0.45 < strides[1] / 4000 < 0.55
    for stride, starts in ((1, 13), (2, 6)):
        counts = Counter(d.start for d in drawn if d.stride == stride)
        assert set(counts) == set(range(starts))
        assert max(counts.values()) < 1.5 * strides[stride] / starts
    assert all(max(d.indices) < 20 for d in drawn)
    assert draw((20,), replace(HOW, max_stride=4), 0, 1, 0).indices[1] - drawn[0].indices[0] == drawn[0].stride


def test_a_clip_that_starts_empty_repeats_its_first_frame_as_rendering_does() -> None:
    drawn = many(replace(HOW, empty_start=1, max_stride=2), (20,), 50)
    for d in drawn:
        assert d.empty and d.frames == 8
        assert d.indices == (d.start, d.start, *(d.start + i * d.stride for i in range(6)))
    assert draw((1,), replace(HOW, empty_start=1), 0, 1, 0).indices == (0, 0, 0)


def test_shares_of_mirrored_and_of_empty_clips_are_kept() -> None:
    drawn = many(replace(HOW, flip=0.5, empty_start=0.25), count=2000)
    assert 0.45 < np.mean([d.flip for d in drawn]) < 0.55
    assert 0.21 < np.mean([d.empty for d in drawn]) < 0.29
    assert not any(d.flip or d.empty for d in many(HOW))


def test_crops_reach_every_border_and_never_beyond() -> None:
    corners = [d.crop for d in many(replace(HOW, crop=(90, 60)), count=600)]
    assert {x for x, _ in corners} == set(range(7)) and {y for _, y in corners} == set(range(5))


def test_one_choice_does_not_change_the_others() -> None:
    plain, mirrored = draw(LENGTHS, HOW, 0, 1, 4), draw(LENGTHS, replace(HOW, flip=1), 0, 1, 4)
    assert replace(mirrored, flip=False) == plain


def test_a_sequence_without_a_frame_to_make_is_an_error() -> None:
    with pytest.raises(ValueError, match="a sequence of 2 frames is too short: at least 3 are needed"):
        draw((2,), HOW, 0, 1, 0)


def test_least_frames_are_those_of_one_load() -> None:
    assert least_frames(HOW) == 4
    assert least_frames(replace(HOW, empty_start=0.5)) == 4
    assert least_frames(replace(HOW, empty_start=1)) == 2


def test_workers_take_as_many_steps_as_one_another() -> None:
    together = [draw_round((30, 6), HOW, 0, 1, range(i, i + 2)) for i in range(0, 20, 2)]
    assert all([d.frames for d in r] == [6, 6] for r in together)
    assert all({d.sequence for d in r} == {0, 1} for r in together)
    assert {draw((30, 6), HOW, 0, 1, i).frames for i in range(20)} == {6, 8}


def test_a_whole_sequence_is_drawn_as_it_is() -> None:
    assert whole(1, 5, 2).indices == (0, 1, 2, 3, 4) and whole(1, 5, 2).generated == 3
