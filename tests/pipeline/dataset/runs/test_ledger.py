"""What became of a plan's shards, kept in columns; and how new clips come among those that a version holds."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from flowreel.pipeline.dataset import manifest_writer
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.runs.plan_file import save_plan
from flowreel.pipeline.identity import IdSearch, id_array
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.publish import claim
from flowreel.pipeline.publish.claim import Conflict
from flowreel.pipeline.storage import open_store
from flowreel.schemas.outcome import DataFile, Failed, Rendered, ShardOutcome
from flowreel.schemas.plan import PLAN

Run = Any  # the fixture's type lies in conftest, which is not importable


def test_ids_are_found_also_where_their_first_bytes_agree() -> None:
    ids = [b"same8byt" + bytes([i]) * 8 for i in range(5)] + [bytes([i]) * 16 for i in range(5)]
    search = IdSearch(id_array(b"".join(ids)))
    assert [search.find(i.hex()) for i in ids] == list(range(10))
    assert [search.find(text) for text in ((b"same8byt" + b"9" * 8).hex(), "ff" * 16, "alone", "")] == [None] * 4
    assert IdSearch(id_array(b"")).find(ids[0].hex()) is None


def rendered(shard: Any, count: int | None = None) -> ShardOutcome:
    """All its clips are, or the first ``count``; the others failed."""
    file = DataFile(f"data/{shard.shard_id if count is None else 'ab' * 16}.parquet", 7, "12" * 32)
    kept = len(shard.clips) if count is None else count
    clips = [
        Rendered(c.clip_id, len(c.frames)) if i < kept else Failed(c.clip_id, "why") for i, c in enumerate(shard.clips)
    ]
    return ShardOutcome(shard.shard_id, file if kept else None, tuple(clips))


def test_each_clip_counts_once(local_run: Run) -> None:
    shards = local_run.prepare().plan.shards
    first, second = shards
    part = ShardOutcome("alone", None, (Failed(second.clips[0].clip_id, "its worker died"),))
    done = Ledger(shards, [part])
    assert (done.clip_count, done.size_left()) == (1, (2, 2 + 2 + 3))
    assert [[c.clip_id for c in s.clips] for s in done.left()] == [  # the longer shard first
        [second.clips[1].clip_id], [c.clip_id for c in first.clips],
    ]  # fmt: skip
    done.add(rendered(first, count=1))
    files, file_C = done.files()
    assert file_C.tolist() == [0, -1, -1, -1] and files["path"].to_pylist() == [f"data/{'ab' * 16}.parquet"]
    assert [(row, loss.reason) for row, loss in done.unpublished()] == [(1, "why"), (2, "its worker died")]
    for outcome in (rendered(first), rendered(second)):  # another driver was luckier: whole shards come first
        done.add(outcome)
    files, file_C = done.files()
    assert file_C.tolist() == [0, 0, 1, 1] and list(done.unpublished()) == [] and list(done.left()) == []
    assert files.to_pylist() == [{"path": f"data/{s.shard_id}.parquet", "size": 7, "sha256": "12" * 32} for s in shards]


def test_a_plan_is_kept_as_one_row_per_clip(local_run: Run, tmp_path: Path) -> None:

    shards = local_run.prepare(variants=[{}, {"seed": 1}]).plan.shards
    save_plan(open_store(str(tmp_path)), "out/plan.parquet", shards)
    table = pq.read_table(tmp_path / "out" / "plan.parquet")
    assert table.schema.equals(PLAN)
    assert table.to_pylist() == [
        {"shard_id": s.shard_id, "clip_id": c.clip_id, "sequence_id": c.sequence_id, "variant": c.variant,
         "start": c.start, "frames": len(c.frames), "split": c.split}
        for s in shards for c in s.clips
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [4, 65_536])
def test_new_clips_come_among_those_that_stay(
    local_run: Run, make_source: Any, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """The same version in one run or two, whatever the sizes of parts: but for the data files that hold the clips."""
    monkeypatch.setattr(manifest_writer, "GROUP_ROWS", rows)
    make_source(local_run.source, sequences=5)
    at_once, stepwise = local_run.into("at-once"), local_run.into("stepwise")
    whole = at_once.publish(at_once.prepare())
    away = [local_run.source / name for name in ("seq_00", "seq_03")]
    for folder in away:
        folder.rename(local_run.root / folder.name)
    stepwise.publish(stepwise.prepare())
    for folder in away:
        (local_run.root / folder.name).rename(folder)
    (local_run.source / "seq_01").rename(local_run.root / "seq_01")
    second = stepwise.publish(stepwise.prepare())
    (local_run.root / "seq_01").rename(local_run.source / "seq_01")
    third = stepwise.publish(stepwise.prepare())
    places = ["shard", "row_group"]
    assert third.manifest().drop_columns(places).equals(whole.manifest().drop_columns(places))
    counts = [(v.record.counts.sequences, v.record.counts.reused, v.record.counts.dropped) for v in (second, third)]
    assert counts == [(4, 4, 2), (5, 8, 0)]
    assert verify(second).problems == verify(third).problems == ()
    assert third.clips()["frames"].to_pylist() == [3, 2] * 5
    assert np.all(np.diff(third.manifest()["timestamp_s"].to_numpy()[:5]) > 0)


def test_a_writer_that_works_keeps_its_claim(local_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one waits as long as there are signs of life, though the lease is over ten times."""
    monkeypatch.setattr(claim, "LEASE_S", 0.4)
    monkeypatch.setattr(claim, "WAIT_S", 0.01)
    store = open_store(str(local_run.root / "dataset"))
    slow, other = claim.Claim(store, 1, b"slow"), claim.Claim(store, 1, b"other")

    taken = threading.Event()

    def wait() -> None:
        with other.held():
            taken.set()

    with slow.held():
        waiter = threading.Thread(target=wait)
        waiter.start()
        for _ in range(20):
            time.sleep(0.1)
            slow.check()
        assert not taken.is_set()
    waiter.join(5)
    assert taken.is_set() and store.list("runs/claims") == []


def test_a_claim_that_was_taken_over_is_noticed(local_run: Run) -> None:
    store = open_store(str(local_run.root / "dataset"))
    mine = claim.Claim(store, 1, b"mine")

    def write() -> None:
        with mine.held():
            store.write("runs/claims/000001.json", b"another's")
            mine.check()

    with pytest.raises(Conflict, match="version 1 was taken over by another run"):
        write()
    assert [info.path for info in store.list("runs/claims")] == ["runs/claims/000001.json"]
