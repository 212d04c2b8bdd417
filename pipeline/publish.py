"""Outcomes -> manifest -> version. ``version.json``, written last and only if absent, is the commit."""

import base64
import hashlib
import json
import platform
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline import versions
from flowreel.pipeline.about import About
from flowreel.pipeline.claim import Claim, Conflict
from flowreel.pipeline.descriptions import descriptions
from flowreel.pipeline.identity import RENDER_FORMAT, as_clip_ids
from flowreel.pipeline.job import RenderJob
from flowreel.pipeline.ledger import Ledger
from flowreel.pipeline.lineage import LineageFile, kept_lineage
from flowreel.pipeline.manifest_file import Totals, write_manifest
from flowreel.pipeline.merge import Merge
from flowreel.pipeline.parquet import parquet_bytes
from flowreel.pipeline.quality.held import losses, rejected_now
from flowreel.pipeline.storage import NotFound, Store
from flowreel.pipeline.versions import CLIPS, FAILURES_FILE, LINEAGE_FILE, MANIFEST_FILE, RECORD, SHARDS_FILE, Version
from flowreel.schemas.errors import StorageError
from flowreel.schemas.manifest import FAILURES, SHARDS
from flowreel.schemas.outcome import Failed
from flowreel.schemas.plan import Plan
from flowreel.schemas.quality import QualitySpec
from flowreel.schemas.version import Counts, FileRecord, VersionRecord, Work

UPLOADS, PART_BYTES = 3, 16 * 2**20

__all__ = ["Conflict", "Draft", "changes_nothing", "commit", "draft"]


@dataclass(frozen=True)
class Draft:
    """A version's content, before it has a number: a few bytes per clip, the rows stay where they are."""

    rows: Merge
    failures: pa.Table


def draft(job: RenderJob, plan: Plan, done: Ledger, base: Version | None) -> Draft:
    """What the version that a finished plan gives will hold; the same in whatever order its outcomes came."""
    files, file_C = done.files()
    rendered = np.flatnonzero(file_C >= 0)
    base_clips = base.clips() if base else CLIPS.empty_table()
    kept = np.asarray(pc.is_in(base_clips["clip_id"], value_set=plan.reused)).astype(np.bool_)
    rows = Merge(base, base_clips, kept, _new_clips(job, plan, rendered), file_C[rendered], files)
    lost = [_failures(plan, done), *(_turned_down(plan, base, base_clips, job.spec.quality) if base else ())]
    in_order = [("sequence_id", "ascending"), ("variant", "ascending"), ("start", "ascending")]
    return Draft(rows, pa.concat_tables(lost).sort_by(in_order))


def _new_clips(job: RenderJob, plan: Plan, rows: NDArray[np.int64]) -> pa.Table:
    """Clips of the plan as they are published."""
    shards, spec = plan.shards, job.spec
    unpublished = 0 if spec.clips.lead_in == "repeat" else job.checkpoint.config.n_frames - 1  # label frames at first
    sequence = pa.DictionaryArray.from_arrays(pa.array(shards.sequence_C[rows]), shards.sequences.ids)
    start_s = (shards.start_C[rows].astype(np.int64) + unpublished * shards.stride_C[rows]) / spec.source.fps
    frames = (shards.frames_C[rows] - unpublished).astype(np.int32)
    clip_ids = as_clip_ids(shards.clip_C16[rows])
    return pa.table([clip_ids, sequence, shards.variant_C[rows], start_s, frames], schema=CLIPS)


def changes_nothing(new: Draft, base: Version | None) -> bool:
    """Whether the base version says the same already."""
    if base is None:
        return False
    return new.rows.clips()["clip_id"].equals(base.clips()["clip_id"]) and new.failures.equals(
        base.table(FAILURES_FILE)
    )


def commit(job: RenderJob, plan: Plan, new: Draft, work: tuple[Work, ...] = ()) -> Version:
    """Publishes ``new`` as the next version. Raises Conflict if another writer was first.

    ``work``: how it came about, for the record.
    """
    number = (plan.base_version or 0) + 1
    if max(versions.numbers(job.dataset), default=0) >= number:  # before the manifest is put together
        raise Conflict(f"version {number} was published meanwhile")
    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        manifest, lineage = Path(folder) / MANIFEST_FILE, Path(folder) / LINEAGE_FILE
        with LineageFile(lineage, number, kept_lineage(new.rows.base, new.rows.kept)) as clips:
            totals = write_manifest(manifest, new.rows.rows(job.dataset, clips))
        shards = _shards(new.rows, totals)
        files = {FAILURES_FILE: parquet_bytes(new.failures), SHARDS_FILE: parquet_bytes(shards)}
        counts = _counts(plan, new.failures, shards, totals)
        large = {place: file_record(place) for place in (manifest, lineage)}
        about = About(number, job.spec, job.space, job.settings, counts, totals, shards)
        files |= descriptions(about, large[manifest])
        record = lambda found: _record(job, plan, number, counts, found).model_copy(update={"work": work})  # noqa: E731
        return commit_files(job.dataset, number, large, files, record)


def commit_files(
    dataset: Store,
    number: int,
    large: Mapping[Path, FileRecord],
    files: dict[str, bytes],
    record_of: Callable[[dict[str, FileRecord]], VersionRecord],
) -> Version:
    """Writes everything below a number, the record last. ``large``: files of this machine, under their names.

    Raises Conflict if another writer was first.
    """
    records = {place.name: found for place, found in large.items()}
    records |= {n: FileRecord(size=len(b), sha256=hashlib.sha256(b).hexdigest()) for n, b in files.items()}
    record, folder = record_of(records), versions.folder(number)
    claim = Claim(dataset, number, _signed(records))
    with claim.held():
        for place in large:
            claim.check()
            _upload(dataset, f"{folder}/{place.name}", place, records[place.name])
        for name, data in files.items():
            claim.check()
            dataset.write_checked(f"{folder}/{name}", data)
        claim.check()
        if not dataset.put_if_absent(f"{folder}/{RECORD}", record.model_dump_json(indent=2).encode()):
            raise Conflict(f"version {number} was published meanwhile")
    return Version(dataset, record)


def _upload(dataset: Store, path: str, place: Path, record: FileRecord) -> None:
    """Raises StorageError if what is stored then is something else: nothing may be published on top of it."""
    for _ in range(UPLOADS):
        dataset.upload(path, place)
        stored = hashlib.sha256()
        with suppress(NotFound), dataset.open_input(path) as file:
            while part := file.read(PART_BYTES):
                stored.update(part)
        if stored.hexdigest() == record.sha256:
            return
    raise StorageError(
        f"{dataset.url(path)}: other bytes were stored than were written, {UPLOADS} times; check the store"
    )


def _signed(records: dict[str, FileRecord]) -> bytes:
    """What tells writers apart that would write something else."""
    return json.dumps({name: file.sha256 for name, file in records.items()}, sort_keys=True).encode()


def file_record(place: Path) -> FileRecord:
    with open(place, "rb") as file:
        return FileRecord(size=place.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _failures(plan: Plan, done: Ledger) -> pa.Table:
    def rows() -> Iterator[dict[str, object]]:
        for row, loss in done.losses():
            clip = plan.shards.clip(row)
            failed = isinstance(loss, Failed)
            yield {
                "clip_id": clip.clip_id, "sequence_id": clip.sequence_id, "variant": clip.variant,
                "start": clip.start, "frames": len(clip.frames),
                "kind": "failed" if failed else "rejected", "reason": loss.reason,
                "error": loss.error if isinstance(loss, Failed) else "",
                "attempts": loss.attempts if isinstance(loss, Failed) else 1,
                "thumbnail": None if isinstance(loss, Failed) else base64.b64decode(loss.thumbnail) or None,
            }  # fmt: skip

    return pa.Table.from_pylist(list(rows()), schema=FAILURES)


def _turned_down(plan: Plan, base: Version, clips: pa.Table, quality: QualitySpec) -> list[pa.Table]:
    """Clips that the plan does not even render: those lost before, and those that were held until now."""
    if not len(plan.turned_down):
        return []
    was_held = pc.is_in(plan.turned_down, value_set=clips["clip_id"].combine_chunks())
    before = pa.array([clip_id.hex() for clip_id in plan.turned_down.filter(pc.invert(was_held)).to_pylist()])
    known = losses(base)
    again = known.filter(pc.is_in(known["clip_id"], value_set=before.cast(pa.string()))).select(FAILURES.names)
    return [again.cast(FAILURES), rejected_now(base, plan.turned_down.filter(was_held), quality)]


def _shards(rows: Merge, totals: Totals) -> pa.Table:
    """Every data file that the manifest names, with size and SHA-256."""
    old = rows.base.table(SHARDS_FILE) if rows.base else SHARDS.empty_table()
    known = pa.concat_tables(
        [rows.files, old.filter(pc.invert(pc.is_in(old["path"], value_set=rows.files["path"].combine_chunks())))]
    )
    return known.filter(pc.is_in(known["path"], value_set=totals.shards)).sort_by("path")


def _counts(plan: Plan, failures: pa.Table, shards: pa.Table, totals: Totals) -> Counts:
    failed = sum(kind == "failed" for kind in failures["kind"].to_pylist())
    return Counts(
        sequences=totals.sequences,
        clips=totals.clips,
        frames=totals.frames,
        shards=len(shards),
        bytes=pc.sum(shards["size"]).as_py() or 0,
        rendered=totals.clips - len(plan.reused),
        reused=len(plan.reused),
        dropped=plan.dropped,
        failed=failed,
        rejected=len(failures) - failed,
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
        settings=plan.settings,
        generator={"digest": plan.settings.generator, "checkpoint": job.spec.generator.checkpoint, "config": config},
        spec=job.spec,
    )
