"""Compaction: dead clips leave their data files, live ones move as they are, kept versions stay whole."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from flowreel.jobs.cli import app
from flowreel.jobs.render import render_by
from flowreel.pipeline.dataset.versions import Version, numbers, open_version
from flowreel.pipeline.maintenance import compaction, gc
from flowreel.pipeline.maintenance.diff import diff
from flowreel.pipeline.maintenance.gc import Policy
from flowreel.pipeline.maintenance.rerender import rerender
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.reader.dataset import read_version
from tests.support.small_dataset import Quiet, Small, missing, render_here

from .test_gc import Killed, killed_after


def published(small: Small) -> Version:
    result = render_by(render_here, small.spec(), Quiet())
    assert result.version
    return result.version


@pytest.fixture
def worn(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """Version 2 names two files of four clips each for one live clip, and one of two new clips."""
    monkeypatch.setattr("flowreel.pipeline.planning.planner.SHARD_FRAMES", {"cpu": 4})
    for i in range(8):
        small.add(f"seq_{i}", i)
    published(small)
    for i in (0, 1, 2, 4, 5, 6):
        small.remove(f"seq_{i}")
    small.add("seq_8", 8)
    small.add("seq_9", 9)
    published(small)
    return small


def rows(version: Version) -> list[dict[str, object]]:
    """The manifest without the places."""
    return version.manifest().drop_columns(["shard", "row_group"]).to_pylist()


def test_what_is_mostly_dead_is_rewritten_and_all_versions_stay_whole(worn: Small) -> None:
    before = open_version(worn.store, 2)
    files = compaction.compaction_candidates(before)
    assert sorted(len(f.clips) for f in files) == [1, 1]
    version = compaction.compact(worn.store, str)
    assert version is not None and (version.number, version.record.base_version) == (3, 2)
    assert rows(version) == rows(before)
    assert version.record.counts.shards == 2
    assert version.record.counts.bytes < before.record.counts.bytes
    for number in (1, 2, 3):
        assert verify(open_version(worn.store, number)).problems == ()
    pictures = [[c.image_THW3.tobytes() for c in read_version(v).clips()] for v in (before, version)]
    assert pictures[0] == pictures[1]
    found = diff(before, version)
    assert found.same == 4 and not len(found.changed) and found.fields == ()
    assert rerender(version, 4).problems == ()
    assert "version 3\n" in (Path(worn.dataset) / "versions/000003/README.md").read_text()
    assert compaction.compact(worn.store, str) is None  # nothing more to gain
    assert not prepare(worn.spec()).plan.shards  # a refresh finds its clips where they are now


def test_space_is_free_once_older_versions_are_dropped(worn: Small) -> None:
    run = CliRunner().invoke(app, ["gc", worn.dataset, "--compact", "--dry-run"])
    assert run.exit_code == 0 and "would be compacted: 2 data files" in run.stdout
    assert numbers(worn.store) == [1, 2]
    before = sum(i.size for i in worn.store.list("data"))
    run = CliRunner().invoke(app, ["gc", worn.dataset, "--compact", "--keep", "1", "--grace", "0"])
    assert run.exit_code == 0 and "published version 3: compacted 2 data files" in run.stdout
    assert "deleted: 2 data files" in run.stdout
    assert sum(i.size for i in worn.store.list("data")) < before
    assert not missing(open_version(worn.store, 3))


def test_a_file_that_is_half_alive_stays(small: Small) -> None:
    small.add("a", 1)
    small.add("b", 2)
    published(small)
    small.remove("b")
    assert compaction.compaction_candidates(published(small)) == []


def test_of_a_race_with_a_refresh_nothing_is_lost(worn: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version is published between planning and commit of the compaction."""
    real = compaction._published

    def late(*args: object) -> Version:
        worn.add("seq_10", 10)
        published(worn)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(compaction, "_published", late)
    said: list[str] = []
    assert compaction.compact(worn.store, said.append) is None
    assert said == ["version 3 was published meanwhile: data files are compacted next time"]
    assert open_version(worn.store).record.counts.clips == 5
    monkeypatch.undo()
    version = compaction.compact(worn.store, str)
    assert version is not None and version.number == 4 and verify(version).problems == ()


def test_a_kill_at_any_moment_leaves_whole_versions(worn: Small) -> None:
    steps = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            killed_after(patch, steps)
            try:
                version = compaction.compact(worn.store, str)
                break
            except Killed:
                steps += 1
        gc.collect(worn.store, Policy(grace_s=0))
        assert all(not missing(open_version(worn.store, n)) for n in numbers(worn.store))
    assert steps >= 8
    assert version is None or version.number == 3  # killed after the commit, it is published already
    assert numbers(worn.store) == [1, 2, 3]
