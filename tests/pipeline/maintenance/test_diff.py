"""What changed between versions, and why."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flowreel.jobs.cli import app
from flowreel.pipeline import identity
from flowreel.pipeline.dataset.versions import open_version
from flowreel.pipeline.generator.checkpoint import read_checkpoint
from flowreel.pipeline.generator.loading import load_generator, save_checkpoint
from flowreel.pipeline.maintenance.diff import Diff, diff
from flowreel.pipeline.render import clip_lineage
from flowreel.pipeline.storage import open_store
from tests.support.small_dataset import Small


def compared(small: Small, before: int = 1, after: int = 2) -> Diff:
    return diff(open_version(small.store, before), open_version(small.store, after))


def places(table: Any) -> list[tuple[str, int]]:
    return [(row["sequence_id"], row["start"]) for row in table.to_pylist()]


@pytest.fixture
def two(small: Small) -> Small:
    """A version of two sequences, of a clip and of two."""
    small.add("a", 1, frames=1)
    small.add("b", 2, frames=4)
    small.refresh()
    return small


def test_added_removed_and_changed_are_told_apart(two: Small) -> None:
    two.add("c", 3)
    two.add("b", 200, frames=4)
    two.remove("a")
    two.refresh()
    found = compared(two)
    assert (places(found.added), places(found.removed)) == ([("c", 0)], [("a", 0)])
    assert places(found.changed) == [("b", 0), ("b", 2)]
    assert found.reasons == {"labels": 2} and found.same == 0 and found.fields == ()
    back = compared(two, 2, 1)
    assert (places(back.added), places(back.removed)) == ([("a", 0)], [("c", 0)])
    rows = found.changed.to_pylist()
    assert [(r["after"], r["before"]) for r in back.changed.to_pylist()] == [(r["before"], r["after"]) for r in rows]


def test_one_frame_of_many_changes_one_clip(two: Small) -> None:
    other = (two.source / "b/labels/000.png").read_bytes()
    (two.source / "b/labels/003.png").write_bytes(other)
    two.refresh()
    found = compared(two)
    assert places(found.changed) == [("b", 2)] and found.reasons == {"labels": 1} and found.same == 2


def test_a_sequence_that_grows_changes_the_range_of_its_last_clip(two: Small) -> None:
    two.add("a", 1, frames=3)
    two.refresh()
    found = compared(two)
    assert places(found.changed) == [("a", 0)] and found.reasons == {"range": 1}
    assert places(found.added) == [("a", 2)]


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"variants": [{"seed": 5}]}, "variant", "variants"),
        ({"source": {"remap": {26: 24, "others": "keep"}}}, "label space", "source.remap.26: None -> 24"),
        ({"source": {"fps": 5}}, "settings", "source.fps: 17.0 -> 5.0"),
        ({"generator": {"size": [64, 32]}}, "settings", "generator.size: [32, 16] -> [64, 32]"),
        ({"output": {"image_codec": "png"}}, "settings", "output.image_codec: jpeg -> png"),
        ({"split": {"other": 1.0}}, "split", "split.other: None -> 1.0"),
    ],
)
def test_every_part_of_the_spec_is_a_reason(two: Small, change: dict[str, Any], reason: str, field: str) -> None:
    two.refresh(**change)
    found = compared(two)
    assert len(found.changed) == 3 and found.reasons == {reason: 3}
    assert any(text.startswith(field) for text in found.fields), found.fields


def test_other_weights_and_another_format_are_reasons(
    two: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkpoint = read_checkpoint(open_store(str(two.checkpoint)))
    generator = load_generator(checkpoint, "cpu")
    next(generator.parameters()).data += 1
    save_checkpoint(open_store(str(tmp_path / "other")), generator)
    for module in (identity, clip_lineage):
        monkeypatch.setattr(module, "RENDER_FORMAT", 1000)
    two.refresh(generator={"checkpoint": str(tmp_path / "other")})
    assert compared(two).reasons == {"format": 3, "weights": 3}


def test_a_clip_that_was_lost_is_removed_with_its_reason(two: Small) -> None:
    two.add("b", 77, frames=4)  # rendered again, and rejected; the one frame of "a" has no error
    two.refresh(quality={"max_warp_error": 1e-9}, failure={"max_failed_fraction": 1.0})
    rows = compared(two, 1, 2).removed.to_pylist()
    assert [r["sequence_id"] for r in rows] == ["b", "b"]
    assert all("warp_error" in r["lost"] for r in rows)


def test_the_command_prints_a_table_or_json(two: Small) -> None:
    two.add("a", 9)
    two.refresh()
    run = CliRunner().invoke(app, ["diff", two.dataset, "1", "2"])
    assert run.exit_code == 0
    assert run.stdout.splitlines() == [
        "version 1 -> version 2",
        "  same     2 clips",
        "  added    0 clips",
        "  removed  0 clips",
        "  changed  1 clip: a",
        "    1 clip: labels changed",
    ]
    figures = json.loads(CliRunner().invoke(app, ["diff", two.dataset, "1", "2", "--json"]).stdout)
    (changed,) = figures["changed"]
    assert (changed["sequence_id"], changed["reasons"], figures["same"]) == ("a", ["labels"], 2)


def test_versions_that_are_the_same_differ_in_nothing(two: Small) -> None:
    found = compared(two, 1, 1)
    assert (len(found.added), len(found.removed), len(found.changed), found.same) == (0, 0, 0, 3)
    assert found.reasons == {}
