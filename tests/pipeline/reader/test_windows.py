"""Which frames make a sample, and in what order readers give them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowreel.pipeline.reader.windows import Part, cut_windows, order
from flowreel.schemas.errors import UsageError

EDGES = np.array([0, 5, 5, 9])  # clips of 5, 0 and 4 frames
ROWS = np.array([0, 1, 2, 3, 4, 0, 1, 3, 4])  # the last one lost its third frame to a filter


@pytest.mark.parametrize(
    ("frames", "stride", "expected"),
    [
        (2, 2, [(0, 0, 2), (0, 2, 4), (2, 5, 7), (2, 7, 9)]),
        (3, 1, [(0, 0, 3), (0, 1, 4), (0, 2, 5)]),
        (1, 3, [(0, 0, 1), (0, 3, 4), (2, 5, 6), (2, 7, 8)]),
        (0, 1, [(0, 0, 5), (2, 5, 7), (2, 7, 9)]),
        (6, 1, []),
    ],
)
def test_windows_follow_the_frames_and_never_span_a_gap(
    frames: int, stride: int, expected: list[tuple[int, int, int]]
) -> None:
    found = cut_windows(EDGES, ROWS, frames, stride)
    assert [*zip(found.clip_W.tolist(), found.start_W.tolist(), found.stop_W.tolist(), strict=True)] == expected


def test_an_empty_dataset_has_no_windows() -> None:
    assert len(cut_windows(np.zeros(1, np.int64), np.zeros(0, np.int64), 2, 1)) == 0


@pytest.mark.parametrize(("frames", "stride"), [(-1, 1), (2, 0)])
def test_senseless_windows_are_refused(frames: int, stride: int) -> None:
    with pytest.raises(UsageError, match=f"windows of {frames} frames every {stride}"):
        cut_windows(EDGES, ROWS, frames, stride)


@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    readers=st.integers(1, 5),
    mixed=st.integers(1, 4),
    seed=st.none() | st.integers(0, 3),
)
def test_readers_share_every_window_once_and_hold_few_clips(
    lengths: list[int], readers: int, mixed: int, seed: int | None
) -> None:
    rows = np.concatenate([np.arange(n) for n in lengths])
    windows = cut_windows(np.cumsum([0, *lengths]), rows, 1, 1)
    parts = [order(windows, Part(i, readers), seed, 0, mixed).tolist() for i in range(readers)]
    assert sorted(itertools.chain.from_iterable(parts)) == [*range(len(windows))]
    for part in parts:
        clips = windows.clip_W[part].tolist()
        for clip in set(clips):
            between = clips[clips.index(clip) : len(clips) - clips[::-1].index(clip)]
            assert len(set(between)) <= mixed


def test_seed_and_epoch_decide_the_order() -> None:
    windows = cut_windows(np.arange(0, 101, 5), np.tile(np.arange(5), 20), 1, 1)
    orders = {(s, e): tuple(order(windows, Part(0, 1), s, e, 4)) for s in (0, 1) for e in (0, 1)}
    assert len(set(orders.values())) == 4
    assert tuple(order(windows, Part(0, 1), 1, 1, 4)) == orders[1, 1]
    assert order(windows, Part(0, 1), None, 3, 4).tolist() == [*range(100)]
