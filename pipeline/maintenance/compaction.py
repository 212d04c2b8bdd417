"""Rewrites data files that hold mostly clips which no version needs. Nothing is rendered.

The rows of the clips that the version names are copied as they are into new data files, and a new version names those.
Older versions still name the old files, which stay until the last of them is dropped.
"""

import platform
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowreel.pipeline.dataset.checked_table import STEP, reading
from flowreel.pipeline.dataset.data_file import clip_sources, describe, manifest_rows, pack, stored
from flowreel.pipeline.dataset.manifest_writer import write_manifest
from flowreel.pipeline.dataset.row_group import check_group
from flowreel.pipeline.dataset.runs import records
from flowreel.pipeline.dataset.runs.lease import RUNS, Lease, secure
from flowreel.pipeline.dataset.versions import (
    FAILURES_FILE,
    LINEAGE_FILE,
    MANIFEST_FILE,
    SHARDS_FILE,
    Version,
    newest,
)
from flowreel.pipeline.identity import digest, shard_id
from flowreel.pipeline.parquet import parquet_bytes
from flowreel.pipeline.publish.claim import Conflict
from flowreel.pipeline.publish.commit import commit_files, file_record
from flowreel.pipeline.publish.descriptions import descriptions
from flowreel.pipeline.publish.version_facts import VersionFacts
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import MANIFEST, SHARDS, completed
from flowreel.schemas.outcome import DataFile, Rendered, ShardOutcome
from flowreel.schemas.version import FileRecord, VersionRecord

READERS = 16
LIVE_SHARE = 0.5  # of a file's bytes; a file with less is rewritten
FILE_BYTES = 256 * 2**20  # size of a new data file, about: it is built in memory

Say = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """A data file of which the version names little."""

    path: str
    size: int
    live_bytes: int
    clips: tuple[tuple[str, int, int], ...]  # that the version names: id, row group, bytes

    @property
    def dead_bytes(self) -> int:
        """Gives the bytes that the version does not name."""
        return self.size - self.live_bytes


@dataclass(frozen=True)
class _NewFile:
    """A new data file, and the clips in it."""

    file: DataFile
    clip_ids: tuple[str, ...]


def compaction_candidates(version: Version) -> list[Candidate]:
    """Finds data files of a version that hold mostly what it does not name. Reads their footers."""
    live: dict[str, list[tuple[str, int]]] = {}
    for part in version.manifest_parts(["clip_id", "shard", "row_group", "row"]):
        heads = part.filter(pc.equal(part["row"], 0))
        columns = (heads[name].to_pylist() for name in ("clip_id", "shard", "row_group"))
        for clip_id, shard, group in zip(*columns, strict=True):
            live.setdefault(shard, []).append((clip_id, group))
    sizes = dict(zip(*(version.table(SHARDS_FILE)[name].to_pylist() for name in ("path", "size")), strict=True))

    if unknown := sorted(live.keys() - sizes.keys()):
        raise IntegrityError(
            f"{version.url(MANIFEST_FILE)}: column shard: {unknown[0]!r} is not in {SHARDS_FILE}; {STEP}"
        )

    def inspect(path: str) -> Candidate | None:
        url = version.dataset.url(path)
        with reading(url), version.dataset.open_input(path) as file:
            footer = pq.read_metadata(file)
        check_group(footer, max(group for _, group in live[path]), url)
        groups = [footer.row_group(i).total_byte_size for i in range(footer.num_row_groups)]
        kept = tuple((clip_id, group, groups[group]) for clip_id, group in live[path])
        alive = sum(size for _, _, size in kept)
        return Candidate(path, sizes[path], alive, kept) if alive < LIVE_SHARE * sum(groups) else None

    with ThreadPoolExecutor(READERS) as pool:
        return [found for found in pool.map(inspect, sorted(live)) if found]


def compact(dataset: Store, say: Say) -> Version | None:
    """Publishes a version without wasteful data files; None if there is nothing to gain, or another writer was
    first: then the next call compacts them."""
    base = newest(dataset)
    files = compaction_candidates(base) if base else []
    if base is None or not files:
        return None
    dataset.check_writable()
    plan_id = digest(["compaction", base.number, [f.path for f in files]])
    with Lease(dataset, RUNS) as lease:
        lease.hold(plan_ids=[plan_id])
        moved = [_rewrite(base, plan_id, group) for group in _groups(files)]
        if secure(lease, dataset, (m.file.path for m in moved), say):
            return None  # a collector thought that this process was gone
        lease.check()
        try:
            version = _publish(base, plan_id, files, moved)
        except Conflict as conflict:
            say(f"{conflict}: data files will be compacted next time")
            version = None
        records.end_run(dataset, plan_id)
    return version


def _groups(files: Sequence[Candidate]) -> Iterator[list[tuple[str, str, int]]]:
    """Yields (path, clip, row group) of the clips of one new file at a time."""
    group, size = list[tuple[str, str, int]](), 0
    for file in files:
        for clip_id, row_group, clip_bytes in file.clips:
            if group and size + clip_bytes > FILE_BYTES:
                yield group
                group, size = [], 0
            group.append((file.path, clip_id, row_group))
            size += clip_bytes
    if group:
        yield group


def _rewrite(base: Version, plan_id: str, clips: Sequence[tuple[str, str, int]]) -> _NewFile:
    """Writes one new data file. It is recorded before it is written, as every data file is."""
    dataset, clip_ids = base.dataset, tuple(clip_id for _, clip_id, _ in clips)
    name = shard_id(clip_ids)
    existing = stored(dataset, name)
    data = b"" if existing else _pack_clips(base, name, clips)
    file = existing[0] if existing else describe(name, data)
    outcome = ShardOutcome(name, file, tuple(Rendered(clip_id, 0) for clip_id in clip_ids))
    records.save_outcome(dataset, plan_id, outcome)
    if not existing:
        dataset.write_checked(file.path, data)
    return _NewFile(file, clip_ids)


def _pack_clips(base: Version, name: str, clips: Sequence[tuple[str, str, int]]) -> bytes:
    """Builds one new data file from row groups of old ones."""
    rows, manifest, sources = [], [], []
    for path in dict.fromkeys(path for path, _, _ in clips):
        with reading(base.dataset.url(path)), base.dataset.open_input(path) as source:
            file = pq.ParquetFile(source)
            named, sourced = manifest_rows(file.metadata, path), clip_sources(file.metadata, path)
            for clip_id, group in [(c, g) for p, c, g in clips if p == path]:
                rows.append(file.read_row_group(group))
                if rows[-1]["clip_id"].unique().to_pylist() != [clip_id]:
                    raise IntegrityError(f"{base.dataset.url(path)}: row group {group} is not clip {clip_id}")
                manifest.append(named.filter(pc.equal(named["clip_id"], clip_id)))
                sources.append(sourced.filter(pc.equal(sourced["clip_id"], clip_id)))
    return pack(name, rows, manifest, pa.concat_tables(sources).combine_chunks(), rows[0].schema)


def _publish(base: Version, plan_id: str, old: Sequence[Candidate], moved: Sequence[_NewFile]) -> Version:
    """Publishes the clips of ``base``, some of them in new files. Raises Conflict."""
    number, shards = base.number + 1, _shards(base.table(SHARDS_FILE), old, moved)
    files = {name: base.read(name) for name in (FAILURES_FILE, LINEAGE_FILE)}
    files[SHARDS_FILE] = parquet_bytes(shards)
    changed = {
        "shards": len(shards), "bytes": pc.sum(shards["size"]).as_py() or 0,
        "rendered": 0, "reused": base.record.counts.clips, "dropped": 0,
    }  # fmt: skip
    counts = base.record.counts.model_copy(update=changed)

    def record(found: dict[str, FileRecord]) -> VersionRecord:
        fields = {
            "number": number, "base_version": base.number, "plan_id": plan_id, "files": found,
            "created": datetime.now(UTC).isoformat(timespec="seconds"), "host": platform.node(),
            "token": uuid.uuid4().hex, "flowreel": metadata.version("flowreel"),
            "counts": counts,
        }  # fmt: skip
        return base.record.model_copy(update=fields)

    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        manifest = Path(folder) / MANIFEST_FILE
        totals = write_manifest(manifest, _relocated_manifest(base, moved))
        large = {manifest: file_record(manifest)}
        space = LabelSpace.model_validate(base.record.label_space)
        facts = VersionFacts(number, base.record.spec, space, base.record.settings, counts, totals, shards)
        return commit_files(base.dataset, number, large, files | descriptions(facts, large[manifest]), record)


def _relocated_manifest(base: Version, moved: Sequence[_NewFile]) -> Iterator[pa.Table]:
    """Yields the manifest with the new places of the clips that moved, a part at a time."""
    ids = pa.array([clip_id for m in moved for clip_id in m.clip_ids], pa.string())
    shards = pa.array([m.file.path for m in moved for _ in m.clip_ids], pa.string())
    groups = pa.array([group for m in moved for group in range(len(m.clip_ids))], pa.int32())
    for part in map(completed, base.manifest_parts()):
        index = pc.index_in(part["clip_id"], value_set=ids)
        columns = {name: part[name] for name in MANIFEST.names}
        for name, places in (("shard", shards), ("row_group", groups)):
            columns[name] = pc.coalesce(pc.take(places, index), part[name])
        yield pa.table(list(columns.values()), schema=MANIFEST)


def _shards(table: pa.Table, old: Sequence[Candidate], moved: Sequence[_NewFile]) -> pa.Table:
    gone = {file.path for file in old}
    rows = [row for row in table.to_pylist() if row["path"] not in gone]
    rows += [{"path": m.file.path, "size": m.file.size, "sha256": m.file.sha256} for m in moved]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["path"]), schema=SHARDS)
