"""Names from content: canonical, stable, and different for what differs."""

import hashlib
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from flowreel.pipeline import identity
from flowreel.pipeline.identity import (
    clip_ids,
    digest,
    id_array,
    shard_id,
    shard_ids,
    span_digest,
    split_of,
    variant_digest,
)

HALVES, USUAL = {"a": 0.5, "b": 0.5}, {"train": 0.8, "val": 0.15, "test": 0.05}


def test_a_digest_is_the_hash_of_canonical_json() -> None:
    expected = hashlib.sha256('{"a":[1,"é",null],"b":0.5}'.encode()).hexdigest()[:32]
    assert digest({"b": 0.5, "a": (1, "é", None)}) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ([1, 2], [2, 1]),
        (["ab"], ["a", "b"]),
        (1, "1"),
        ({"a": None}, {}),
        ("é", "e\u0301"),
        (1, 1.0),
    ],
)
def test_what_differs_has_another_digest(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


@pytest.mark.parametrize("parts", [float("nan"), float("inf"), {"x": {1, 2}}, b"x"])
def test_what_has_no_canonical_form_is_refused(parts: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        digest(parts)


def test_digests_do_not_depend_on_the_process() -> None:
    said = "{'b': 0.5, 'a': [('p', 'd')]}"
    code = f"from flowreel.pipeline.identity import variant_digest; print(variant_digest({said}).hex())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {variant_digest({"a": [["p", "d"]], "b": 0.5}).hex() + "\n"}


def test_a_new_render_format_gives_new_clip_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    before = variant_digest({"a": 1})
    monkeypatch.setattr(identity, "RENDER_FORMAT", identity.RENDER_FORMAT + 1)
    assert variant_digest({"a": 1}) != before


def test_a_clip_s_id_is_the_hash_of_look_and_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_BLOCK", 2)
    look, pieces = variant_digest({"a": 1}), [span_digest(b"x", memoryview(bytes([i]))) for i in range(5)]
    assert pieces[3] == hashlib.blake2b(b"x\3", digest_size=16).digest()
    found = clip_ids(look, id_array(b"".join(pieces)))
    assert [row.tobytes() for row in found] == [hashlib.blake2b(look + p, digest_size=16).digest() for p in pieces]


def test_a_shard_is_named_by_its_clips_in_order() -> None:
    names = [shard_id(ids) for ids in (["a", "b"], ["b", "a"], ["a"], ["ab"], [])]
    assert len(set(names)) == 5 and shard_id(iter(["a", "b"])) == names[0]


def test_many_shards_are_named_as_each_alone() -> None:
    clips = id_array(hashlib.sha512(b"clips").digest() * 2)
    hexed = [row.tobytes().hex() for row in clips]
    found = shard_ids(clips, np.array([0, 1, 5, 8]))
    assert [row.tobytes().hex() for row in found] == [shard_id(hexed[a:b]) for a, b in ((0, 1), (1, 5), (5, 8))]
    assert shard_ids(clips[:0], np.array([0])).shape == (0, 16)


def test_splits_have_about_their_shares() -> None:
    names = [f"city_{i // 100}/{i:06d}" for i in range(10_000)]
    counts = Counter(split_of(name, USUAL) for name in names)
    assert {name: count / 10_000 for name, count in counts.items()} == pytest.approx(USUAL, abs=0.01)


def test_the_split_of_a_name_never_changes() -> None:
    """Fixed for good: published datasets would be split anew."""
    assert [split_of(f"s{i}", HALVES) for i in range(12)] == list("aaaaaababbbb")


def test_a_larger_first_share_takes_from_the_others_only() -> None:
    names = [f"s{i}" for i in range(1000)]
    before = {name for name in names if split_of(name, {"train": 0.7, "val": 0.3}) == "train"}
    after = {name for name in names if split_of(name, {"train": 0.8, "val": 0.2}) == "train"}
    assert before < after and len(after) - len(before) == pytest.approx(100, abs=30)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"all": 1.0}, {"all"}),
        ({"none": 0.0, "all": 1.0, "nothing": 0.0}, {"all"}),
        ({f"{i}": 0.1 for i in range(10)}, {f"{i}" for i in range(10)}),
    ],
)
def test_shares_of_zero_get_nothing_and_rounding_loses_nothing(split: dict[str, float], expected: set[str]) -> None:
    assert {split_of(f"s{i}", split) for i in range(500)} == expected
