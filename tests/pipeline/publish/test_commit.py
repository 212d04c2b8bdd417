"""Outcomes become a version: what it says, when it exists, and who wins when two want to publish."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flowreel.pipeline.dataset.data_file import manifest_rows
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.versions import Version, newest, numbers, open_version
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.planning.prepare import Prepared, prepare
from flowreel.pipeline.publish import claim, commit
from flowreel.pipeline.publish.claim import Conflict
from flowreel.pipeline.publish.draft import Draft, changes_nothing, draft_version
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import UsageError
from flowreel.schemas.outcome import Failed, Rejected, Rendered, ShardOutcome

Run = Any  # the fixture's type lies in conftest, which is not importable
FAILURE_COLUMNS = {
    "clip_id": pa.string(),
    "sequence_id": pa.string(),
    "variant": pa.int32(),
    "start": pa.int32(),
    "frames": pa.int32(),
    "kind": pa.string(),
    "reason": pa.string(),
    "error": pa.string(),
    "attempts": pa.int32(),
    "thumbnail": pa.binary(),
}
TABLES = ("manifest.parquet", "failures.parquet", "shards.parquet", "lineage.parquet")


def table(run: Run, name: str, version: int = 1) -> pa.Table:
    """As a consumer reads it: plain pyarrow, by its place."""
    return pq.read_table(run.dataset / "versions" / f"{version:06d}" / name)


def columns(found: pa.Table) -> dict[str, pa.DataType]:
    return dict(zip(found.schema.names, found.schema.types, strict=True))


def drafted(prepared: Prepared, outcomes: list[ShardOutcome]) -> Draft:
    return draft_version(prepared.job, prepared.plan, Ledger(prepared.plan.shards, outcomes), prepared.base)


# What a version says


def test_the_manifest_names_every_frame_and_where_it_lies(local_run: Run) -> None:
    prepared = local_run.prepare()
    local_run.publish(prepared)
    manifest = table(local_run, "manifest.parquet")
    footer = manifest_rows(pq.read_metadata(local_run.dataset / manifest["shard"][0].as_py()), "")
    assert manifest.schema.names == footer.schema.names and columns(manifest) == columns(footer)
    rows = manifest.to_pylist()
    order = [(r["sequence_id"], r["timestamp_s"]) for r in rows]
    assert order == [(f"seq_{s:02d}", t / 17) for s in range(2) for t in range(5)]
    assert [r["frame_index"] for r in rows] == [0, 1, 2, 0, 1] * 2
    for r in rows:
        stored = pq.ParquetFile(local_run.dataset / r["shard"]).read_row_group(r["row_group"]).to_pylist()[r["row"]]
        assert all(stored[key] == r[key] for key in ("clip_id", "frame_index", "split", "timestamp_s"))
        label = np.asarray(Image.open(local_run.source / r["source_frame"]))
        ids, pixels = np.unique(label, return_counts=True)
        assert (r["class_ids"], r["class_pixels"]) == (ids.tolist(), pixels.tolist())
        things = np.asarray(Image.open(local_run.source / r["source_frame"].replace("labels", "instances")))
        assert r["num_instances"] == len(set(things[(label >= 24) & (label <= 33)]) - {0})
        assert (r["width"], r["height"], r["label_space"], r["style"]) == (64, 32, "cityscapes", "generate")
        assert (r["edits"], r["label_agreement"]) == ([], None)
        assert r["generator"] == prepared.job.checkpoint.digest
        assert (r["warp_error"] is None) == (r["frame_index"] == 0)
    assert max(r["num_instances"] for r in rows) > 1


def test_counts_and_files_of_the_record_are_those_of_the_tables(local_run: Run) -> None:
    version = local_run.publish(local_run.prepare())
    record = version.record
    assert (record.number, record.base_version, record.name) == (1, None, "dataset")
    counts = record.counts
    assert (counts.sequences, counts.clips, counts.frames, counts.shards) == (2, 4, 10, 2)
    assert (counts.rendered, counts.reused, counts.dropped, counts.failed, counts.rejected) == (4, 0, 0, 0, 0)
    assert counts.bytes == sum(f.stat().st_size for f in (local_run.dataset / "data").iterdir())
    assert set(record.files) == {*TABLES, "README.md", "croissant.json"}
    assert table(local_run, "failures.parquet").num_rows == 0
    assert columns(table(local_run, "failures.parquet")) == FAILURE_COLUMNS
    on_disk = json.loads((local_run.dataset / "versions/000001/version.json").read_text())
    assert on_disk["spec"]["source"]["fps"] == 17.0 and "storage_options" not in on_disk["spec"]


def test_edits_styles_and_variants_stand_in_the_manifest(local_run: Run) -> None:
    exemplar = local_run.root / "dusk.png"
    Image.fromarray(np.full((20, 30, 3), (90, 40, 20), np.uint8)).save(exemplar)
    edits = [{"replace": "car", "with": "road"}, {"replace": 23, "with": "building"}]
    variants = [{"style": "generate"}, {"style": str(exemplar), "edits": edits}]
    local_run.publish(local_run.prepare(variants=variants))
    looks = {(r["variant"], r["style"], tuple(r["edits"])) for r in table(local_run, "manifest.parquet").to_pylist()}
    assert looks == {
        (0, "generate", ()),
        (1, str(exemplar), ("replace car with road", "replace 23 with building")),
    }
    assert table(local_run, "manifest.parquet").num_rows == 20


def test_lost_clips_stand_in_failures_and_nowhere_else(local_run: Run) -> None:
    prepared = local_run.prepare()
    (local_run.source / "seq_00/labels/000003.png").unlink()
    (first, second) = local_run.render(prepared)
    rejected = Rejected(second.clips[1].clip_id, "warp_error 0.5 at frame 1 above quality.max_warp_error 0.1")
    kept = local_run.render(prepared, [prepared.plan.shards[1]])[0]
    # The gate itself is tested elsewhere; here a whole shard is lost to it.
    outcomes = [first, ShardOutcome(kept.shard_id, None, (Failed(kept.clips[0].clip_id, "why", "trace", 3), rejected))]
    version = local_run.publish(prepared, outcomes)
    failures = table(local_run, "failures.parquet")
    assert columns(failures) == FAILURE_COLUMNS
    rows = {(r["sequence_id"], r["start"]): r for r in failures.to_pylist()}
    assert list(rows) == [("seq_00", 0), ("seq_00", 3), ("seq_01", 0)]
    assert rows["seq_00", 0] | {"clip_id": ""} == {
        "clip_id": "", "sequence_id": "seq_00", "variant": 0, "start": 0, "frames": 3,
        "kind": "failed", "reason": "why", "error": "trace", "attempts": 3, "thumbnail": None,
    }  # fmt: skip
    assert "000003.png: gone since" in rows["seq_00", 3]["reason"] and rows["seq_00", 3]["frames"] == 2
    assert (rows["seq_01", 0]["kind"], rows["seq_01", 0]["reason"]) == ("rejected", rejected.reason)
    counts = version.record.counts
    assert (counts.failed, counts.rejected, counts.clips, counts.rendered) == (2, 1, 1, 1)
    published = set(table(local_run, "manifest.parquet")["clip_id"].to_pylist())
    planned = {c.clip_id for s in prepared.plan.shards for c in s.clips}
    assert published | {r["clip_id"] for r in rows.values()} == planned
    assert not published & {r["clip_id"] for r in rows.values()}


def test_the_same_plan_gives_the_same_files_in_any_order(local_run: Run) -> None:
    written = []
    for name, step in (("forth", 1), ("back", -1)):
        run = local_run.into(name)
        prepared = run.prepare()
        outcomes = run.render(prepared, prepared.plan.shards[::step])
        run.publish(prepared, outcomes)
        files = [f for f in run.dataset.rglob("*.parquet") if f.parent.name != "cache"]
        written.append({f.relative_to(run.dataset).as_posix(): f.read_bytes() for f in files})
    assert len(written[0]) == 2 + len(TABLES)
    assert written[0] == written[1]


# On top of a version


def test_a_second_version_takes_over_what_is_still_wanted(local_run: Run, make_source: Any) -> None:
    first = local_run.publish(local_run.prepare())
    before = {f: f.stat().st_mtime_ns for f in (local_run.dataset / "data").iterdir()}
    make_source(local_run.source, sequences=3)
    prepared = local_run.prepare()
    assert {c.sequence_id for s in prepared.plan.shards for c in s.clips} == {"seq_02"}
    second = local_run.publish(prepared)
    assert (second.number, second.record.base_version) == (2, 1)
    counts = second.record.counts
    assert (counts.sequences, counts.clips, counts.rendered, counts.reused, counts.dropped) == (3, 6, 2, 4, 0)
    old, new = first.manifest(), second.manifest()
    assert new.slice(0, 10).equals(old) and set(new["sequence_id"].slice(10).to_pylist()) == {"seq_02"}
    assert {f: f.stat().st_mtime_ns for f in before} == before
    assert not verify(second).problems and not verify(first).problems


def test_what_is_no_longer_wanted_is_left_out(local_run: Run) -> None:
    local_run.publish(local_run.prepare())
    (local_run.source / "seq_01").rename(local_run.root / "elsewhere")
    prepared = local_run.prepare()
    assert prepared.plan.shards == () and prepared.plan.dropped == 2
    second = local_run.publish(prepared, [])
    assert set(second.manifest()["sequence_id"].to_pylist()) == {"seq_00"}
    assert (second.record.counts.dropped, second.record.counts.rendered, second.record.counts.shards) == (2, 0, 2)
    assert not verify(second).problems


def test_no_later_run_changes_a_published_data_file(local_run: Run, make_source: Any) -> None:
    """Sequences come, go, and come back while the clips per batch change, which changes what rounding leaves."""
    settings = {"clips": {"frames": 0}, "output": {"image_codec": "png"}}
    late = [local_run.source / "seq_01", local_run.source / "seq_02"]
    shutil.rmtree(late[0])
    local_run.publish(local_run.prepare(**settings))
    make_source(local_run.source, sequences=3)
    second = local_run.publish(local_run.prepare(**settings))
    for folder in late:
        shutil.rmtree(folder)
    local_run.publish(local_run.prepare(**settings), [])
    make_source(local_run.source, sequences=3)
    local_run.publish(local_run.prepare(**settings, generator={"batch": 1}))
    assert verify(second).problems == ()


def test_nothing_new_changes_nothing(local_run: Run, make_source: Any) -> None:
    first = local_run.prepare()
    fresh = drafted(first, local_run.render(first))
    assert not changes_nothing(fresh, None)
    version = local_run.publish(first)
    assert changes_nothing(fresh, version)
    again = local_run.prepare()
    assert again.plan.shards == ()
    assert changes_nothing(drafted(again, []), again.base)
    make_source(local_run.source, sequences=3)
    more = local_run.prepare()
    assert not changes_nothing(drafted(more, local_run.render(more)), more.base)


def test_other_failures_are_a_change(local_run: Run) -> None:
    prepared = local_run.prepare()
    outcomes = local_run.render(prepared)
    lost = outcomes[1].clips
    first = ShardOutcome(outcomes[1].shard_id, None, tuple(Failed(c.clip_id, "disk on fire") for c in lost))
    version = local_run.publish(prepared, [outcomes[0], first])
    assert len(local_run.prepare().plan.shards) == 0  # the same input would fail again
    again = local_run.prepare(failure={"retry_failed": True})
    assert {c.clip_id for s in again.plan.shards for c in s.clips} == {c.clip_id for c in lost}
    same = [ShardOutcome(s.shard_id, None, first.clips) for s in again.plan.shards]
    assert changes_nothing(drafted(again, same), version)
    other = [ShardOutcome(s.shard_id, None, tuple(Failed(c.clip_id, "flood") for c in lost)) for s in again.plan.shards]
    assert not changes_nothing(drafted(again, other), version)


# The commit


def test_a_version_exists_once_its_record_does(local_run: Run) -> None:
    store = open_store(str(local_run.dataset))
    version = local_run.publish(local_run.prepare())
    assert numbers(store) == [1] and open_version(store).record == version.record
    record = local_run.dataset / "versions/000001/version.json"
    record.rename(local_run.root / "aside")  # as if killed just before the last write
    assert numbers(store) == [] and newest(store) is None
    with pytest.raises(UsageError, match="holds no published version"):
        open_version(store)
    with pytest.raises(UsageError, match="has no version 1; published versions: none"):
        open_version(store, 1)
    again = local_run.prepare()
    assert again.plan.plan_id == version.record.plan_id
    repeated = local_run.publish(again)
    assert repeated.number == 1 and not verify(repeated).problems


def test_half_written_tables_of_a_killed_writer_are_replaced(local_run: Run) -> None:
    left_over = local_run.dataset / "versions/000001/manifest.parquet"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"PAR1 cut short")
    version = local_run.publish(local_run.prepare())
    assert version.number == 1 and not verify(version).problems


def test_of_two_writers_at_once_one_wins_and_the_other_is_told(local_run: Run) -> None:
    prepared = local_run.prepare()
    draft = drafted(prepared, local_run.render(prepared))
    start, ended = threading.Barrier(4), []

    def writer() -> None:
        start.wait()
        try:
            ended.append(commit.commit(prepared.job, prepared.plan, draft))
        except Conflict as conflict:
            ended.append(conflict)

    threads = [threading.Thread(target=writer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (version,) = [e for e in ended if isinstance(e, Version)]
    conflicts = [str(e) for e in ended if isinstance(e, Conflict)]
    assert conflicts == ["version 1 was published meanwhile"] * 3
    assert open_version(prepared.job.dataset).record == version.record and not verify(version).problems
    assert not list((local_run.dataset / "runs/claims").iterdir())


def test_who_comes_later_plans_again_and_finds_nothing_to_do(local_run: Run) -> None:
    slow = local_run.prepare()
    outcomes = local_run.render(slow)
    local_run.publish(local_run.prepare())
    with pytest.raises(Conflict, match="version 1 was published meanwhile"):
        commit.commit(slow.job, slow.plan, drafted(slow, outcomes))
    again = local_run.prepare()
    assert again.plan.shards == () and again.plan.base_version == 1
    assert numbers(again.job.dataset) == [1]


def test_a_conflict_leaves_the_winner_s_files_alone(local_run: Run) -> None:
    """The later one has other tables: a clip less."""
    slow = local_run.prepare()
    outcomes = local_run.render(slow)
    version = local_run.publish(local_run.prepare())
    with pytest.raises(Conflict):
        commit.commit(slow.job, slow.plan, drafted(slow, outcomes[:1]))
    assert not verify(version).problems


def test_the_claim_of_a_killed_writer_runs_out(local_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "LEASE_S", 0.1)
    left = local_run.dataset / "runs/claims/000001.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    version = local_run.publish(local_run.prepare())
    assert version.number == 1 and not left.exists()


# Secrets


SECRET = "Zq7-storage-secret-Zq7"


def everything_in(file: Path) -> str:
    """A file's bytes and, of Parquet, what its compressed columns and its footer hold."""
    text = file.read_bytes().decode("latin-1")
    if file.suffix == ".parquet":
        found = pq.read_table(file)
        text += str(found.to_pylist()) + str(found.schema.metadata) + str(pq.read_metadata(file).metadata)
        if file.parent.name == "data":
            text += str(manifest_rows(pq.read_metadata(file), file.name).to_pylist())
    return text


def test_secrets_of_storage_options_are_in_no_file(local_run: Run) -> None:
    options = {"key": SECRET, "client_kwargs": {"aws_secret_access_key": SECRET}}
    prepared = local_run.prepare(storage_options=options, quality={"max_warp_error": 0.001})
    (local_run.source / "seq_00/labels/000000.png").unlink()
    outcomes = local_run.render(prepared)
    kinds = {type(c) for o in outcomes for c in o.clips}
    assert Failed in kinds and kinds & {Rejected, Rendered}
    commit.commit(prepared.job, prepared.plan, drafted(prepared, outcomes))  # the run's records stay
    files = [f for f in local_run.dataset.rglob("*") if f.is_file()]
    names = {f.name for f in files}
    assert {"version.json", "README.md", "sources.parquet", *TABLES} <= names and len(files) >= 8
    assert "seq_01/labels" in everything_in(local_run.dataset / "cache/sources.parquet")  # the search sees through
    assert [str(f) for f in files if SECRET in everything_in(f)] == []
    assert SECRET not in repr(prepared.job)


def test_a_dry_preparation_writes_nothing(local_run: Run) -> None:
    prepared = prepare(local_run.spec(), dry=True)
    assert prepared.plan.clip_count == 4 and prepared.base is None
    assert not local_run.dataset.exists()
