"""Re-reads a version and compares everything with what it promises: hashes, pairing, counts, decodability."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.pairing import check_file
from pipeline.storage import NotFound
from pipeline.versions import FAILURES_FILE, SHARDS_FILE, Version
from schemas.errors import FlowreelError, IntegrityError
from schemas.manifest import MANIFEST

READERS = 4  # data files under way at once: each is held in memory whole


@dataclass(frozen=True)
class Verdict:
    """What was checked, and every problem found."""

    files: int
    clips: int
    frames: int
    problems: tuple[str, ...]


def verify(version: Version, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Checks a whole version. Problems are collected, not raised: one damaged file does not hide another."""
    problems = list(_damaged_tables(version))
    if problems:
        return Verdict(0, 0, 0, tuple(problems))
    manifest, shards = version.manifest(), version.table(SHARDS_FILE)
    problems += _miscounted(version, manifest, shards)
    by_shard = {path: manifest.filter(pc.equal(manifest["shard"], path)) for path in shards["path"].to_pylist()}
    with ThreadPoolExecutor(READERS) as pool:
        results = pool.map(lambda row: list(_data_problems(version, row, by_shard[row["path"]])), shards.to_pylist())
        for done, found in enumerate(results, start=1):
            problems += found
            if progress:
                progress(done, len(shards))
    counts = version.record.counts
    return Verdict(len(shards), counts.clips, counts.frames, tuple(problems))


def _damaged_tables(version: Version) -> Iterator[str]:
    """Files beside version.json whose bytes are not the recorded ones."""
    for name, promised in version.record.files.items():
        url = version.dataset.url(version.path(name))
        try:
            data = version.dataset.read(version.path(name))
        except FlowreelError as error:
            yield str(error)
            continue
        yield from _differs(url, data, promised.size, promised.sha256)


def _differs(url: str, data: bytes, size: int, sha256: str) -> Iterator[str]:
    if len(data) != size:
        yield f"{url}: {len(data):,} bytes, {size:,} were published; restore it or publish the dataset again"
    elif (found := hashlib.sha256(data).hexdigest()) != sha256:
        yield f"{url}: content changed: SHA-256 {found[:12]}..., published {sha256[:12]}...; restore or republish it"


def _miscounted(version: Version, manifest: pa.Table, shards: pa.Table) -> Iterator[str]:
    counts, where = version.record.counts, version.dataset.url(version.path("manifest.parquet"))
    if not manifest.schema.equals(MANIFEST):
        yield f"{where}: columns differ from the published schema"
        return
    clip_ids = pc.unique(manifest["clip_id"])
    failures = version.table(FAILURES_FILE)
    for what, found, said in (
        ("frames", len(manifest), counts.frames),
        ("clips", len(clip_ids), counts.clips),
        ("data files", len(shards), counts.shards),
        ("failed or rejected clips", len(failures), counts.failed + counts.rejected),
    ):
        if found != said:
            yield f"{where}: {found:,} {what}, version.json says {said:,}"
    both = set(clip_ids.to_pylist()) & set(failures["clip_id"].to_pylist())
    if both:
        yield f"{where}: {len(both)} clip(s) stand in the manifest and in failures.parquet, first {min(both)}"
    if set(manifest["shard"].unique().to_pylist()) != set(shards["path"].to_pylist()):
        yield f"{where}: names other data files than shards.parquet"


def _data_problems(version: Version, promised: dict[str, object], rows: pa.Table) -> Iterator[str]:
    """One data file against its hash and its rows of the manifest."""
    path = str(promised["path"])
    url = version.dataset.url(path)
    try:
        data = version.dataset.read(path)
    except NotFound:
        yield f"{url}: missing, but version {version.number} names it; restore it or publish the dataset again"
        return
    except FlowreelError as error:
        yield str(error)
        return
    changed = list(_differs(url, data, int(str(promised["size"])), str(promised["sha256"])))
    if changed:
        yield from changed
        return
    try:
        check_file(data, rows)
    except IntegrityError as error:
        yield f"{url}: {error}"
