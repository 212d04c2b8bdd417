"""Gates that change between versions: clips that are held are judged too, and nothing is rendered twice for it."""

import io

import numpy as np
import pytest
from PIL import Image

from flowreel.jobs.render import Exit
from flowreel.pipeline.dataset.versions import FAILURES_FILE, MANIFEST_FILE, Version, newest
from tests.support.small_dataset import Small


def published(small: Small) -> Version:
    version = newest(small.store)
    assert version is not None
    return version


def losses(version: Version) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = version.table(FAILURES_FILE).to_pylist()
    return rows


@pytest.fixture
def bound(small: Small) -> float:
    """A version of three clips, and a bound on contrast that one of them does not keep."""
    for name, content in (("a", 3), ("b", 40), ("c", 77)):
        small.add(name, content, frames=2)
    small.refresh()
    table = published(small).table(MANIFEST_FILE)
    least = {s: min(r["contrast"] for r in table.to_pylist() if r["sequence_id"] == s) for s in "abc"}
    lowest, second = sorted(least.values())[:2]
    assert lowest < second
    return (lowest + second) / 2


def test_a_tighter_gate_takes_held_clips_out_with_reason_and_picture(small: Small, bound: float) -> None:
    result, _ = small.refresh(quality={"min_contrast": bound})
    version = published(small)
    assert (result.exit, result.published, result.rendered_frames) == (Exit.DONE, True, 0)
    (loss,) = losses(version)
    assert (loss["kind"], loss["start"], loss["frames"], loss["attempts"]) == ("rejected", 0, 2, 1)
    assert str(loss["reason"]).startswith("contrast 0.") and f"below quality.min_contrast {bound:g}" in str(
        loss["reason"]
    )
    assert np.asarray(Image.open(io.BytesIO(loss["thumbnail"]))).shape == (80, 480, 3)  # type: ignore[arg-type]
    assert (version.record.counts.clips, version.record.counts.rejected, version.record.counts.dropped) == (2, 1, 1)
    assert loss["clip_id"] not in version.table(MANIFEST_FILE)["clip_id"].to_pylist()


def test_what_the_same_gates_turned_down_is_not_rendered_again(small: Small, bound: float) -> None:
    gates = {"min_contrast": bound}
    small.refresh(quality=gates)
    before = losses(published(small))
    assert not small.refresh(quality=gates)[0].published  # nothing to do
    small.add("d", 40, frames=2)
    result, _ = small.refresh(quality=gates)
    assert result.published and result.rendered_frames + 2 * len(result.unpublished) == 2  # of the new clip alone
    assert [loss for loss in losses(published(small)) if loss["sequence_id"] != "d"] == before


def test_a_looser_gate_renders_what_was_turned_down(small: Small, bound: float) -> None:
    small.refresh(quality={"min_contrast": bound})
    result, _ = small.refresh()
    assert result.rendered_frames == 2
    assert published(small).record.counts.clips == 3 and losses(published(small)) == []


def test_gates_that_take_everything_publish_nothing(small: Small, bound: float) -> None:
    result, _ = small.refresh(quality={"min_contrast": 0.9})
    assert (result.exit, result.published) == (Exit.OVER_BUDGET, False)
    assert published(small).number == 1
