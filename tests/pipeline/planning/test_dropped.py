"""A source that is half gone must not take the dataset with it: clips that go without a successor."""

import shutil
from typing import Any

import pytest

from flowreel.jobs import plan as planning
from flowreel.pipeline.dataset.versions import numbers
from flowreel.pipeline.planning.dropped import Dropped, dropped_by
from flowreel.pipeline.planning.prepare import prepare
from flowreel.schemas.errors import DroppedError
from tests.support.small_dataset import Small

STRICT: dict[str, Any] = {"failure": {"max_dropped_fraction": 0.1}}


@pytest.fixture
def three(small: Small) -> Small:
    """A version of three sequences of two clips each."""
    for k, name in enumerate("abc"):
        small.add(name, k, frames=4)
    small.refresh()
    return small


def dropped(small: Small, **groups: Any) -> Dropped:
    return dropped_by(prepare(small.spec(**groups), dry=True))


def test_sequences_that_are_gone_stop_a_refresh_before_anything_is_rendered(three: Small) -> None:
    for name in "bc":
        shutil.rmtree(three.source / name)
    with pytest.raises(
        DroppedError, match=r"version 1 of .* would lose 4 of its 6 clips, of b, c, more than"
    ) as stopped:
        three.refresh(**STRICT)
    assert stopped.value.exit_code == 4 and "--allow-drop" in str(stopped.value)
    assert numbers(three.store) == [1] and not list(three.store.list("runs", "runs/*/run.json"))
    figures = planning.summary(prepare(three.spec(**STRICT), dry=True), None)
    assert figures["dropped_without_successor"] == {"clips": 4, "of": 6, "sequences": ["b", "c"]}
    assert any("warning" in line and "--allow-drop" in line for line in planning.lines(figures))
    result, _ = three.refresh(failure={"max_dropped_fraction": 1})  # what --allow-drop sets
    assert result.published and numbers(three.store)[-1] == 2


def test_a_sequence_that_became_shorter_loses_its_last_clips(three: Small) -> None:
    for t in (2, 3):
        (three.source / "a/labels" / f"{t:03d}.png").unlink()
    assert dropped(three) == Dropped(1, 6, ("a",))


def test_a_variant_that_was_removed_takes_its_clips(three: Small) -> None:
    two: dict[str, Any] = {"variants": [{"style": "generate"}, {"style": "generate", "seed": 7}]}
    three.refresh(**two)
    assert dropped(three) == Dropped(6, 12, ("a", "b", "c"))


@pytest.mark.parametrize(
    "change",
    [
        {"clips": {"frames": 2, "seed": 5}},
        {"clips": {"frames": 3}},
        {"clips": {"frames": 0}},
        {"source": {"fps": 30}},
        {"output": {"image_quality": 50}},
    ],
)
def test_what_is_rendered_anew_has_a_successor(three: Small, change: dict[str, Any]) -> None:
    assert dropped(three, **change).clips == 0


def test_changed_and_added_sequences_drop_nothing(three: Small) -> None:
    three.add("a", 40, frames=4)
    three.add("d", 41, frames=4)
    assert dropped(three).clips == 0
    three.refresh(**STRICT)
    assert numbers(three.store) == [1, 2]


def test_a_little_may_go(three: Small) -> None:
    shutil.rmtree(three.source / "c")
    with pytest.raises(DroppedError):
        three.refresh(failure={"max_dropped_fraction": 0.3})
    three.refresh(failure={"max_dropped_fraction": 0.34})
    assert numbers(three.store)[-1] == 2
