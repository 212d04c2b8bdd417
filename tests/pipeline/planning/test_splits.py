"""Which split a sequence is in: decided by its name, kept for good, and none empty where there are sequences enough."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowreel.pipeline.identity import split_of
from flowreel.pipeline.planning.splits import assign_splits, empty_splits, sequences_per_split
from flowreel.schemas.sequence import Sequences

SHARES = {"train": 0.9, "val": 0.1}


def sequences(names: list[str], recordings: list[str] | None = None) -> Sequences:
    count = len(names)
    return Sequences(
        "{sequence}/*.png", None, pa.array(names, pa.string()), np.ones((count, 2), np.int32), np.arange(count + 1),
        pa.array(["0"] * count, pa.large_string()), np.zeros((count, 32), np.uint8), None,
        recordings=None if recordings is None else pa.array(recordings, pa.string()),
    )  # fmt: skip


def assigned(names: list[str], shares: dict[str, float], kept: dict[str, str] | None = None) -> dict[str, str]:
    return dict(zip(names, assign_splits(sequences(names), shares, kept or {}), strict=True))


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    parts = draw(st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(any))
    return {f"split{i}": part / sum(parts) for i, part in enumerate(parts)}


NAMES = st.lists(st.integers(0, 10**6).map(lambda i: f"seq_{i}"), min_size=1, max_size=30, unique=True)


@settings(deadline=None)
@given(NAMES, shares())
def test_every_split_with_a_share_gets_a_sequence_and_no_more_move_than_must(
    names: list[str], shares: dict[str, float]
) -> None:
    found = assigned(names, shares)
    wanted = {name for name, share in shares.items() if share}
    by_name = {name: split_of(name, shares) for name in names}
    moved = [name for name in names if found[name] != by_name[name]]
    if len(names) >= len(wanted):
        assert set(found.values()) == wanted and len(moved) == len(wanted - set(by_name.values()))
    else:
        assert len(set(found.values())) == len(names)  # as many as can be
    assert set(moved) == set() or not wanted <= set(by_name.values())
    assert assigned(names[::-1], shares) == found


@settings(deadline=None)
@given(NAMES, NAMES, shares())
def test_published_sequences_stay_whatever_arrives(few: list[str], more: list[str], shares: dict[str, float]) -> None:
    before = assigned(few, shares)
    after = assigned([*few, *(name for name in more if name not in few)], shares, before)
    assert {name: after[name] for name in few} == before


def test_published_sequences_stay_even_where_a_split_is_empty() -> None:
    names = ["a", "b", "c"]
    kept = dict.fromkeys(names, "train")
    assert assigned(names, SHARES, kept) == kept
    assert assigned([*names, "d"], SHARES, kept) == kept | {"d": "val"}
    counts = sequences_per_split(kept.values(), SHARES)
    assert counts == {"train": 3, "val": 0}
    assert empty_splits(counts, SHARES) == [
        "split 'val' has a share of 0.1, but no sequence: it gets one when there are new recordings enough"
    ]


def test_pieces_of_a_recording_share_its_split() -> None:
    names = [f"{name}{piece}" for name in "abcdefgh" for piece in ("", "@5", "@9")]
    recordings = [name[0] for name in names]
    found = assign_splits(sequences(names, recordings), {"train": 0.5, "val": 0.5}, {})
    assert len({*zip(recordings, found, strict=True)}) == 8 and set(found) == {"train", "val"}
    # One that is published keeps the others with it.
    kept = {"a@5": "val" if found[0] == "train" else "train"}
    assert assign_splits(sequences(names, recordings), {"train": 0.5, "val": 0.5}, kept)[:3] == [kept["a@5"]] * 3


@pytest.mark.parametrize("count", [2, 3, 10])
def test_small_sources_have_both_of_the_usual_splits(count: int) -> None:
    for first in range(20):
        found = Counter(assigned([f"seq_{first + i:02d}" for i in range(count)], SHARES).values())
        assert set(found) == {"train", "val"}
