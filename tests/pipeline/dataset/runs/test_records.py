"""What an interrupted run leaves, and what the next one takes from it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from flowreel.pipeline.dataset.runs import records
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.schemas.clip import Shard
from flowreel.schemas.outcome import DataFile, Failed, Rejected, Rendered, ShardOutcome

Run = Any  # the fixture's type lies in conftest, which is not importable
NAME = "ab" * 16  # of a data file


def done(prepared: Prepared) -> dict[str, ShardOutcome]:
    return {o.shard_id: o for o in records.load_outcomes(prepared.job.dataset, prepared.plan.plan_id)}


def left(prepared: Prepared) -> list[Shard]:
    """In the plan's order; the ledger gives the longest shards first."""
    clips = (clip.clip_id for shard in prepared.plan.shards for clip in shard.clips)
    place = {clip_id: place for place, clip_id in enumerate(clips)}
    rest = Ledger(prepared.plan.shards, done(prepared).values()).left()
    return sorted(rest, key=lambda shard: place[shard.clips[0].clip_id])


def test_outcomes_come_back_as_they_were(local_run: Run) -> None:
    prepared = local_run.prepare()
    data = local_run.dataset / "data"
    data.mkdir(parents=True)
    (data / f"{NAME}.parquet").write_bytes(b"12345")
    clips = (
        Rendered("a", 3),
        Rejected("b", "warp_error 0.5", kind="warp_error"),
        Failed("c", "reason", "...", 3, "KeyError"),
    )
    outcomes = [
        ShardOutcome(
            "s1", DataFile(f"data/{NAME}.parquet", 5, "0" * 64), clips, "host:1", {"fetch": 0.25, "write": 1.0}
        ),
        ShardOutcome("s2", None, clips[1:]),
    ]
    assert done(prepared) == {}
    for outcome in outcomes:
        records.save_outcome(prepared.job.dataset, prepared.plan.plan_id, outcome)
    assert done(prepared) == {"s1": outcomes[0], "s2": outcomes[1]}
    assert list(records.load_outcomes(prepared.job.dataset, "another-plan")) == []


def test_records_of_earlier_releases_read_without_a_kind_of_loss(local_run: Run) -> None:
    """They call a clip's outcome its kind."""
    prepared = local_run.prepare()
    clips = [
        {"kind": "rejected", "clip_id": "b", "reason": "warp_error 0.5", "thumbnail": ""},
        {"kind": "failed", "clip_id": "c", "reason": "its worker died: hung", "error": "", "attempts": 3},
    ]
    record = {"shard_id": "s", "file": None, "clips": clips, "worker": "", "seconds": {}, "began": 0, "ended": 0}
    prepared.job.dataset.write(f"runs/{prepared.plan.plan_id}/outcomes/s.json", json.dumps(record).encode())
    lost = (Rejected("b", "warp_error 0.5"), Failed("c", "its worker died: hung", attempts=3))
    assert done(prepared) == {"s": ShardOutcome("s", None, lost)}
    assert [clip.kind for clip in lost] == ["unknown", "unknown"]


def test_a_finished_shard_is_not_rendered_again(local_run: Run) -> None:
    prepared = local_run.prepare()
    assert left(prepared) == list(prepared.plan.shards)
    local_run.render(prepared, prepared.plan.shards[:1])
    again = local_run.prepare()  # the same command once more
    assert again.plan == prepared.plan
    assert left(again) == list(prepared.plan.shards[1:])


@pytest.mark.parametrize("harm", ["missing", "cut short", "too long"])
def test_a_record_counts_only_with_its_whole_data_file(local_run: Run, harm: str) -> None:
    """The record is written first: a kill between the two leaves a record without a file."""
    prepared = local_run.prepare()
    outcomes = local_run.render(prepared)
    file = local_run.dataset / outcomes[0].file.path
    whole = file.read_bytes()
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes(whole[:-1] if harm == "cut short" else whole + b"x")
    assert set(done(prepared)) == {outcomes[1].shard_id}
    assert left(prepared) == [prepared.plan.shards[0]]
    local_run.render(prepared, left(prepared))
    assert file.read_bytes() == whole
    assert left(prepared) == []
    assert verify(local_run.publish(prepared, done(prepared).values())).problems == ()


def test_a_data_file_without_a_record_is_written_again(local_run: Run) -> None:
    prepared = local_run.prepare()
    outcomes = local_run.render(prepared)
    file = local_run.dataset / outcomes[0].file.path
    before = file.read_bytes()
    (record,) = local_run.dataset.glob(f"runs/*/outcomes/{outcomes[0].shard_id}.json")
    record.unlink()
    assert left(prepared) == [prepared.plan.shards[0]]
    local_run.render(prepared, left(prepared))
    assert file.read_bytes() == before


def test_an_interrupted_run_ends_as_an_undisturbed_one(local_run: Run) -> None:
    files = []
    for name in ("undisturbed", "interrupted"):
        run = local_run.into(name)
        prepared = run.prepare()
        if name == "interrupted":
            first = run.render(prepared, prepared.plan.shards[1:])
            (run.dataset / first[0].file.path).unlink()
            run.render(prepared, prepared.plan.shards[:1])
            prepared = run.prepare()
            assert left(prepared) == [prepared.plan.shards[1]]
            run.render(prepared, left(prepared))
            run.publish(prepared, done(prepared).values())
        else:
            run.publish(prepared)
        found = [f for f in run.dataset.rglob("*.parquet") if f.parent.name != "cache"]
        files.append({f.relative_to(run.dataset).as_posix(): f.read_bytes() for f in found})
    assert len(files[0]) == 6 and files[0] == files[1]


def test_of_a_shard_that_was_split_the_rest_is_rendered_one_by_one(local_run: Run) -> None:
    prepared = local_run.prepare()
    shard = prepared.plan.shards[1]
    culprit, mate = shard.clips
    lost = ShardOutcome("alone", None, (Failed(culprit.clip_id, "its worker died", attempts=3),))
    records.save_outcome(prepared.job.dataset, prepared.plan.plan_id, lost)
    first, single = left(prepared)
    assert first == prepared.plan.shards[0]
    assert single.clips == (mate,) and single.shard_id != shard.shard_id
    local_run.render(prepared, left(prepared))
    version = local_run.publish(prepared, done(prepared).values())
    counts = version.record.counts
    assert (counts.clips, counts.failed, counts.shards) == (3, 1, 2)
    assert verify(version).problems == ()


def test_lost_clips_are_tried_again_after_they_were_forgotten(local_run: Run) -> None:
    prepared = local_run.prepare()
    gone = local_run.source / "seq_00/labels/000003.png"
    data = gone.read_bytes()
    gone.unlink()
    outcomes = local_run.render(prepared)
    assert [len(o.lost) for o in outcomes] == [1, 0]
    assert left(prepared) == []
    records.forget_failures(prepared.job.dataset, prepared.plan.plan_id)
    assert left(prepared) == [prepared.plan.shards[0]]
    gone.write_bytes(data)
    (second,) = local_run.render(prepared, left(prepared))
    assert not second.lost


def test_other_gates_are_another_run(local_run: Run) -> None:
    """Outcomes that were recorded under one bound say nothing under another."""
    strict = local_run.prepare(quality={"max_warp_error": 1e-9})
    assert all(isinstance(c, Rejected) for o in local_run.render(strict) for c in o.clips)
    free = local_run.prepare()
    assert done(free) == {} and left(free) == list(free.plan.shards)


def test_an_unfinished_run_can_be_seen_until_it_ends(local_run: Run) -> None:
    prepared = local_run.prepare()
    dataset, plan = prepared.job.dataset, prepared.plan
    assert records.unfinished_runs(dataset) == []
    records.save_run(dataset, plan, {"host": "here"})
    outcomes = local_run.render(prepared, plan.shards[:1])
    assert records.unfinished_runs(dataset) == [
        {"plan_id": plan.plan_id, "host": "here", "clips": 4, "frames": 10, "shards": 2, "shards_done": 1}
    ]
    stored = json.loads(next(local_run.dataset.glob("runs/*/outcomes/*.json")).read_text())
    assert stored["shard_id"] == outcomes[0].shard_id
    records.end_run(dataset, plan.plan_id)
    assert records.unfinished_runs(dataset) == [] and done(prepared) == {}
    assert (local_run.dataset / outcomes[0].file.path).exists()


def test_a_clip_that_was_recorded_twice_is_published_once(local_run: Run) -> None:
    """A driver that lost a worker splits its shard while the worker's record, or another driver's, is there already."""
    prepared = local_run.prepare()
    shard = prepared.plan.shards[1]
    alone = [replace(shard, shard_id=f"alone-{clip.clip_id}", clips=(clip,)) for clip in shard.clips]
    local_run.render(prepared, [*prepared.plan.shards, *alone])
    manifest = local_run.publish(prepared, done(prepared).values()).manifest()
    keys = list(zip(manifest["clip_id"].to_pylist(), manifest["frame_index"].to_pylist(), strict=True))
    assert len(keys) == len(set(keys)) == 10
