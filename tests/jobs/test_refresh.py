"""Refreshing: only what changed is rendered, and what is published is whole."""

from pathlib import Path

import pytest
import ray

from flowreel.jobs import render as rendering
from flowreel.pipeline.dataset.versions import numbers, open_version
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.storage import open_store
from tests.support.small_dataset import Quiet, Small, clip_ids


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with the time it was written and its bytes."""
    return {
        str(f.relative_to(folder)): (f.stat().st_mtime_ns, f.read_bytes()) for f in folder.rglob("*") if f.is_file()
    }


def test_of_fifty_sequences_only_what_changed_is_rendered(small: Small) -> None:
    for i in range(50):
        small.add(f"seq_{i:02d}", i, frames=2)
    result, _ = small.refresh()
    assert result.version and result.version.record.counts.rendered == 50
    dataset = Path(small.dataset)
    before = {name: state for name, state in tree(dataset).items() if name.startswith("data/")}
    ids = set(clip_ids(result.version))

    small.add("seq_07", 1007, frames=2)  # changed
    small.add("seq_50", 50, frames=2)  # new
    small.remove("seq_33")
    result, garbage = small.refresh(grace_s=3600)
    assert result.version and result.published and result.rendered_frames == 4
    counts = result.version.record.counts
    assert (counts.clips, counts.rendered, counts.reused, counts.dropped) == (50, 2, 48, 2)
    after = {name: state for name, state in tree(dataset).items() if name.startswith("data/")}
    assert before.items() <= after.items()  # byte for byte, and not written again
    assert len(ids & set(clip_ids(result.version))) == 48
    assert verify(result.version).problems == ()
    assert garbage is not None and not garbage.any  # both versions are kept


def test_nothing_new_writes_nothing_and_starts_nothing(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.add("a", 1)
    small.refresh()
    before = tree(Path(small.dataset))
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    folder = Path(small.dataset).stat().st_mtime_ns
    result = rendering.render(small.spec(), Quiet())
    assert (result.exit, result.published) == (rendering.Exit.DONE, False)
    second, garbage = small.refresh()
    assert (second.published, garbage) == (False, None)
    assert tree(Path(small.dataset)) == before
    assert Path(small.dataset).stat().st_mtime_ns == folder  # not even a file that was there for a moment


def test_retention_keeps_so_many_versions_and_what_they_name(small: Small) -> None:
    for content in range(5):
        small.add("a", content)
        small.refresh(dataset={"uri": small.dataset, "keep_versions": 2})
    assert numbers(small.store) == [4, 5]
    assert len(list(Path(small.dataset, "data").iterdir())) == 2
    for number in (4, 5):
        assert verify(open_version(small.store, number)).problems == ()


def test_fewer_versions_to_keep_are_dropped_though_nothing_changed(small: Small) -> None:
    for content in range(3):
        small.add("a", content)
        small.refresh()
    result, garbage = small.refresh(dataset={"uri": small.dataset, "keep_versions": 1})
    assert not result.published and garbage and garbage.drop == (1, 2)
    assert numbers(open_store(small.dataset)) == [3]
