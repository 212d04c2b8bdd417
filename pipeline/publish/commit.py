"""Commits a draft as a version. ``version.json``, written last and only if absent, is the commit."""

import hashlib
import json
import platform
import tempfile
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.lineage_file import LineageWriter
from flowreel.pipeline.dataset.manifest_writer import ManifestWriter, Totals
from flowreel.pipeline.dataset.versions import (
    FAILURES_FILE,
    LINEAGE_FILE,
    MANIFEST_FILE,
    RECORD,
    SHARDS_FILE,
    Version,
)
from flowreel.pipeline.edits.instances import NONE
from flowreel.pipeline.identity import RENDER_FORMAT
from flowreel.pipeline.parquet import parquet_bytes
from flowreel.pipeline.publish.claim import Claim, Conflict
from flowreel.pipeline.publish.descriptions import descriptions
from flowreel.pipeline.publish.draft import Draft
from flowreel.pipeline.publish.merge import Merge
from flowreel.pipeline.publish.version_facts import VersionFacts
from flowreel.pipeline.render.job import RenderJob
from flowreel.pipeline.storage import NotFound, Store
from flowreel.schemas.errors import StorageError
from flowreel.schemas.manifest import SHARDS
from flowreel.schemas.plan import Plan
from flowreel.schemas.spec import Spec
from flowreel.schemas.version import Counts, FileRecord, SplitCounts, VersionRecord, Work

UPLOADS, PART_BYTES = 3, 16 * 2**20


def commit(job: RenderJob, plan: Plan, new: Draft, work: tuple[Work, ...] = ()) -> Version:
    """Publishes ``new`` as the next version. Raises Conflict if another writer was first.

    ``work``: who rendered it and when, for the record.
    """
    number = (plan.base_version or 0) + 1
    if max(versions.numbers(job.dataset), default=0) >= number:  # before the manifest is put together
        raise Conflict(f"version {number} was published meanwhile")
    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        manifest, lineage = Path(folder) / MANIFEST_FILE, Path(folder) / LINEAGE_FILE
        with ManifestWriter(manifest) as frames, LineageWriter(lineage) as clips:
            for part in new.rows.parts(job.dataset, number):
                frames.write(part.rows)
                clips.write(part.lineage)
        totals = frames.totals
        shards = _shards(new.rows, totals)
        files = {FAILURES_FILE: parquet_bytes(new.failures), SHARDS_FILE: parquet_bytes(shards)}
        counts = _counts(job.spec, plan, new.failures, shards, totals)
        large = {place: file_record(place) for place in (manifest, lineage)}
        facts = VersionFacts(number, job.spec, job.space, job.settings, counts, totals, shards)
        files |= descriptions(facts, large[manifest])
        record = lambda found: _record(job, plan, number, counts, found).model_copy(update={"work": work})  # noqa: E731
        return commit_files(job.dataset, number, large, files, record)


def commit_files(
    dataset: Store,
    number: int,
    large: Mapping[Path, FileRecord],
    files: dict[str, bytes],
    record_of: Callable[[dict[str, FileRecord]], VersionRecord],
) -> Version:
    """Writes everything below a number, the record last. ``large``: files of this machine, stored by their names.

    Raises Conflict if another writer was first.
    """
    records = {place.name: found for place, found in large.items()}
    records |= {n: FileRecord(size=len(b), sha256=hashlib.sha256(b).hexdigest()) for n, b in files.items()}
    record, folder = record_of(records), versions.folder(number)
    claim = Claim(dataset, number, _signed(records))
    with claim.hold():
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
    """Uploads a large file. Raises StorageError if something else is stored then: nothing may be published on top of
    it."""
    for _ in range(UPLOADS):
        dataset.upload(path, place)
        stored = hashlib.sha256()
        with suppress(NotFound), dataset.open_input(path) as file:
            while part := file.read(PART_BYTES):
                stored.update(part)
        if stored.hexdigest() == record.sha256:
            return
    raise StorageError(
        f"{dataset.url(path)}: the stored bytes differ from those written, {UPLOADS} times in a row; check the store"
    )


def _signed(records: dict[str, FileRecord]) -> bytes:
    """Gives bytes that differ between writers that would write something else."""
    return json.dumps({name: file.sha256 for name, file in records.items()}, sort_keys=True).encode()


def file_record(place: Path) -> FileRecord:
    """Gives the size in bytes and SHA-256 of a local file."""
    with open(place, "rb") as file:
        return FileRecord(size=place.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _shards(rows: Merge, totals: Totals) -> pa.Table:
    """Lists every data file that the manifest names, with size and SHA-256."""
    old = rows.base.table(SHARDS_FILE) if rows.base else SHARDS.empty_table()
    known = pa.concat_tables(
        [rows.files, old.filter(pc.invert(pc.is_in(old["path"], value_set=rows.files["path"].combine_chunks())))]
    )
    return known.filter(pc.is_in(known["path"], value_set=totals.shards)).sort_by("path")


def _counts(spec: Spec, plan: Plan, failures: pa.Table, shards: pa.Table, totals: Totals) -> Counts:
    """Sums up what the version holds, and what the plan reused and dropped."""
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
        splits=_split_counts(spec, totals),
    )


def _split_counts(spec: Spec, totals: Totals) -> dict[str, SplitCounts]:
    """Counts per split; those that have a share and nothing in it too."""
    names = [*(name for name, share in spec.split.items() if share), *sorted(totals.split_frames)]
    return {
        name: SplitCounts(
            sequences=totals.split_sequences[name], clips=totals.split_clips[name], frames=totals.split_frames[name]
        )
        for name in dict.fromkeys(names)
    }


def _record(job: RenderJob, plan: Plan, number: int, counts: Counts, files: dict[str, FileRecord]) -> VersionRecord:
    """Puts ``version.json`` together; only what is known once the files are written is in ``files``."""
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
        no_instance=NONE if job.spec.output.instances and job.spec.source.has_instances else None,
    )
