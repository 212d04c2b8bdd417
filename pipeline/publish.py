"""Outcomes -> manifest -> version. ``version.json``, written last and only if absent, is the commit."""

import hashlib
import io
import json
import platform
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import runs, versions
from pipeline.card import dataset_card
from pipeline.data_file import manifest_rows
from pipeline.identity import RENDER_FORMAT
from pipeline.job import RenderJob
from pipeline.storage import NotFound, Store
from pipeline.versions import CARD_FILE, FAILURES_FILE, MANIFEST_FILE, RECORD, SHARDS_FILE, Version
from schemas.errors import IntegrityError, StorageError
from schemas.manifest import FAILURES, MANIFEST, SHARDS
from schemas.outcome import Failed, ShardOutcome
from schemas.plan import Plan
from schemas.version import Counts, FileRecord, VersionRecord

READERS = 16
CLAIM_LEASE_S = 300  # a commit writes a few small files; a writer that takes longer is gone
_ORDER = ("sequence_id", "variant", "start", "clip_id", "frame_index")


class Conflict(Exception):
    """Another writer has published meanwhile: plan again on top of its version."""


@dataclass(frozen=True)
class Draft:
    """A version's tables, before it has a number."""

    manifest: pa.Table
    failures: pa.Table
    shards: pa.Table


def draft(job: RenderJob, plan: Plan, outcomes: Iterable[ShardOutcome], base: Version | None) -> Draft:
    """The tables of the version that a finished plan gives; the same for any order of ``outcomes``."""
    done = runs.one_per_clip(plan, outcomes)
    with ThreadPoolExecutor(READERS) as pool:
        new = list(pool.map(lambda o: _rows(job, o), (o for o in done if o.file)))
    old = base.manifest() if base else MANIFEST.empty_table()
    kept = old.filter(pc.is_in(old["clip_id"], value_set=pa.array(list(plan.reused), pa.string())))
    manifest = _ordered(pa.concat_tables([kept.cast(MANIFEST), *new]))
    return Draft(manifest, _failures(plan, done), _shards(manifest, done, base))


def changes_nothing(new: Draft, base: Version | None) -> bool:
    """Whether the base version says the same already."""
    if base is None:
        return False
    return new.manifest.equals(base.manifest().cast(MANIFEST)) and new.failures.equals(base.table(FAILURES_FILE))


def commit(job: RenderJob, plan: Plan, new: Draft) -> Version:
    """Publishes ``new`` as the next version. Raises Conflict if another writer was first."""
    dataset = job.dataset
    number = (plan.base_version or 0) + 1
    files = {
        MANIFEST_FILE: _parquet(new.manifest),
        FAILURES_FILE: _parquet(new.failures),
        SHARDS_FILE: _parquet(new.shards),
    }
    counts = _counts(plan, new)
    files[CARD_FILE] = dataset_card(job, number, counts, new.manifest).encode()
    claim, sums = f"runs/claims/{number:06d}.json", {n: hashlib.sha256(b).hexdigest() for n, b in files.items()}
    # Whoever claims the number may write below it; the same plan writes the same bytes, so a rerun may take it over.
    mine = json.dumps(sums, sort_keys=True).encode()
    _claim(dataset, claim, number, mine)
    for name, data in files.items():
        _check_claim(dataset, claim, number, mine)
        dataset.write(f"{versions.folder(number)}/{name}", data)
    records = {name: FileRecord(size=len(data), sha256=sums[name]) for name, data in files.items()}
    record = _record(job, plan, number, counts, records)
    _check_claim(dataset, claim, number, mine)
    if not dataset.put_if_absent(f"{versions.folder(number)}/{RECORD}", record.model_dump_json(indent=2).encode()):
        raise Conflict(f"version {number} was published meanwhile")
    dataset.delete(claim)
    return Version(dataset, record)


def _claim(dataset: Store, path: str, number: int, body: bytes) -> None:
    """Returns once the number is ours to write below. A claim that stays for CLAIM_LEASE_S is taken over."""
    seen, since = b"", time.monotonic()
    while True:
        holder = body if dataset.put_if_absent(path, body) else _claimed_by(dataset, path)
        if max(versions.numbers(dataset), default=0) >= number:
            if holder == body:
                dataset.delete(path)
            raise Conflict(f"version {number} was published meanwhile")
        if holder == body:
            return
        if holder != seen:
            seen, since = holder, time.monotonic()
        elif time.monotonic() - since > CLAIM_LEASE_S:
            dataset.delete(path)
        time.sleep(0.5)


def _check_claim(dataset: Store, path: str, number: int, body: bytes) -> None:
    """Raises Conflict if another writer has taken the number over: what it has written must stay."""
    if dataset.exists(f"{versions.folder(number)}/{RECORD}"):
        raise Conflict(f"version {number} was published meanwhile")
    if _claimed_by(dataset, path) != body:
        raise Conflict(f"version {number} was taken over by another run")


def _claimed_by(dataset: Store, path: str) -> bytes:
    try:
        return dataset.read(path)
    except NotFound:
        return b""


def _rows(job: RenderJob, outcome: ShardOutcome) -> pa.Table:
    """A new shard's manifest rows: from the footer, by ranged reads, no media."""
    assert outcome.file is not None
    url = job.dataset.url(outcome.file.path)
    try:
        with job.dataset.open_input(outcome.file.path) as source:
            return manifest_rows(pq.read_metadata(source), url)
    except StorageError:
        raise
    except (ValueError, OSError, pa.ArrowException) as error:
        raise IntegrityError(
            f"{url}: damaged: {error}; delete it and run the same command, it is rendered anew"
        ) from None


def _ordered(rows: pa.Table) -> pa.Table:
    """By sequence, variant, time of the clip's start and frame, so that filters and people find things together."""
    if not len(rows):
        return rows
    first = rows["frame_index"].to_numpy() == 0  # a clip's rows stand together, in frame order
    start = rows["timestamp_s"].to_numpy()[first][np.cumsum(first) - 1]
    keyed = rows.append_column("start", pa.array(start))
    order = pc.sort_indices(keyed, sort_keys=[(name, "ascending") for name in _ORDER])
    return rows.take(order)


def _failures(plan: Plan, outcomes: list[ShardOutcome]) -> pa.Table:
    clips = {clip.clip_id: clip for shard in plan.shards for clip in shard.clips}

    def rows() -> Iterator[dict[str, object]]:
        for loss in (loss for o in outcomes for loss in o.lost):
            clip = clips[loss.clip_id]
            failed = isinstance(loss, Failed)
            yield {
                "clip_id": clip.clip_id, "sequence_id": clip.sequence_id, "variant": clip.variant,
                "start": clip.start, "frames": len(clip.frames),
                "kind": "failed" if failed else "rejected", "reason": loss.reason,
                "error": loss.error if isinstance(loss, Failed) else "",
                "attempts": loss.attempts if isinstance(loss, Failed) else 1,
            }  # fmt: skip

    table = pa.Table.from_pylist(list(rows()), schema=FAILURES)
    return table.sort_by([("sequence_id", "ascending"), ("variant", "ascending"), ("start", "ascending")])


def _shards(manifest: pa.Table, outcomes: list[ShardOutcome], base: Version | None) -> pa.Table:
    """Every data file that the manifest names, with size and SHA-256."""
    named = set(manifest["shard"].unique().to_pylist())
    old = base.table(SHARDS_FILE).to_pylist() if base else []
    known = {row["path"]: row for row in old if row["path"] in named}
    for o in outcomes:
        if o.file:
            known[o.file.path] = {"path": o.file.path, "size": o.file.size, "sha256": o.file.sha256}
    return pa.Table.from_pylist([known[path] for path in sorted(named)], schema=SHARDS)


def _counts(plan: Plan, new: Draft) -> Counts:
    clips = pc.count_distinct(new.manifest["clip_id"]).as_py()
    failed = sum(kind == "failed" for kind in new.failures["kind"].to_pylist())
    return Counts(
        sequences=pc.count_distinct(new.manifest["sequence_id"]).as_py(),
        clips=clips,
        frames=len(new.manifest),
        shards=len(new.shards),
        bytes=pc.sum(new.shards["size"]).as_py() or 0,
        rendered=clips - len(plan.reused),
        reused=len(plan.reused),
        dropped=plan.dropped,
        failed=failed,
        rejected=len(new.failures) - failed,
    )


def _record(job: RenderJob, plan: Plan, number: int, counts: Counts, files: dict[str, FileRecord]) -> VersionRecord:
    config = job.checkpoint.config.model_dump(mode="json")
    return VersionRecord(
        number=number,
        name=job.spec.dataset.title,
        base_version=plan.base_version,
        plan_id=plan.plan_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        token=uuid.uuid4().hex,
        flowreel=metadata.version("flowreel"),
        render_format=RENDER_FORMAT,
        counts=counts,
        files=files,
        label_space=job.space.model_dump(mode="json"),
        generator={"digest": plan.settings.generator, "checkpoint": job.spec.generator.checkpoint, "config": config},
        spec=job.spec,
    )


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    # How a table is chunked shows in its pages: in one piece, the same rows give the same bytes.
    pq.write_table(table.combine_chunks(), sink, compression="zstd", row_group_size=65_536)
    return sink.getvalue()
