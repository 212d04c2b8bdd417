"""Re-reads a version and compares everything with what it promises: hashes, pairing, counts, decodability."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.file_check import check_file
from flowreel.pipeline.dataset.versions import FAILURES_FILE, LINEAGE_FILE, MANIFEST_FILE, SHARDS_FILE, Version
from flowreel.pipeline.storage import NotFound, Store
from flowreel.schemas.errors import FlowreelError, IntegrityError
from flowreel.schemas.manifest import MANIFEST, SHARDS
from flowreel.schemas.wording import counted

READERS = 4  # data files under way at once: each is held in memory whole
BLOCK_BYTES = 64 * 2**20
# Columns of the manifest that a data file is compared with, and the one that names it.
_COMPARED = [
    "clip_id", "sequence_id", "variant", "frame_index", "split", "timestamp_s",
    "width", "height", "class_ids", "class_pixels", "row_group", "row", "shard",
]  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Says what was checked, and every problem found."""

    files: int
    clips: int
    frames: int
    problems: tuple[str, ...]


def verify(version: Version, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Checks a whole version. Problems are collected, not raised: one damaged file does not hide another."""
    problems = list(_damaged_tables(version)) or list(_other_columns(version))
    if problems:
        return Verdict(0, 0, 0, tuple(problems))
    shards, census = version.table(SHARDS_FILE), _Census.of(version)
    problems += _miscounted(version, census, shards)

    def check(file: tuple[pa.Table, pa.Table]) -> list[str]:
        return _data_problems(version, *file)

    for done, found in enumerate(prefetch(check, _data_files(version, census, shards), 2 * READERS, READERS), start=1):
        problems += found
        if progress:
            progress(done, len(shards))
    counts = version.record.counts
    return Verdict(len(shards), counts.clips, counts.frames, tuple(problems))


@dataclass(frozen=True)
class _Census:
    """Says what a manifest holds, as far as it has to be known before its rows are read."""

    frames: int
    clip_ids: pa.Array  # distinct ones
    rows: Counter[str]  # per data file

    @classmethod
    def of(cls, version: Version) -> "_Census":
        """Counts in two columns of the manifest."""
        frames, rows, clip_ids = 0, Counter[str](), [pa.array([], pa.string())]
        for part in version.manifest_parts(["clip_id", "shard"], coded=["clip_id", "shard"]):
            frames += len(part)
            clip_ids.append(part["clip_id"].unique().dictionary_decode())
            for item in part["shard"].value_counts().to_pylist():
                rows[item["values"]] += item["counts"]
        return cls(frames, pa.chunked_array(clip_ids).unique(), rows)


def _data_files(version: Version, census: _Census, shards: pa.Table) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yields each data file as its row of ``shards`` and its rows of the manifest, none for one that is not named.

    Of the manifest, only rows of files whose last row has not been read are in memory.
    """
    promised = {path: row for row, path in enumerate(shards["path"].to_pylist())}
    for path, rows in _by_shard(version, census):
        if path in promised:  # that others are named too is said already
            yield shards.slice(promised.pop(path), 1), rows
    for row in promised.values():
        yield shards.slice(row, 1), MANIFEST.empty_table()


def _by_shard(version: Version, census: _Census) -> Iterator[tuple[str, pa.Table]]:
    """Yields path and all rows of each data file. Clips of one file stand close to each other in a manifest."""
    pieces: defaultdict[str, list[pa.Table]] = defaultdict(list)
    missing = census.rows.copy()
    for part in version.manifest_parts(_COMPARED, coded=["shard"]):
        column = part["shard"].combine_chunks()
        codes = column.indices.to_numpy()
        order = np.argsort(codes, kind="stable")
        edges = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1))
        grouped = part.drop_columns(["shard"]).take(pa.array(order))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            path = column.dictionary[int(codes[order[start]])].as_py()
            pieces[path].append(grouped.slice(start, stop - start))
            missing[path] -= stop - start
            if not missing[path]:
                yield path, pa.concat_tables(pieces.pop(path))


def _damaged_tables(version: Version) -> Iterator[str]:
    """Yields a problem for each file beside version.json whose bytes are not the recorded ones."""
    for name, promised in version.record.files.items():
        path = version.path(name)
        try:
            size, found = _size_and_sum(version.dataset, path)
        except FlowreelError as error:
            yield str(error)
            continue
        yield from _differs(version.dataset.url(path), (size, found), promised.size, promised.sha256)


def _size_and_sum(dataset: Store, path: str) -> tuple[int, str]:
    """Gives bytes and SHA-256 of an object that may be larger than memory."""
    size, state = dataset.info(path).size, hashlib.sha256()
    for start in range(0, size, BLOCK_BYTES):
        state.update(dataset.read_range(path, start, min(size, start + BLOCK_BYTES)))
    return size, state.hexdigest()


def _other_columns(version: Version) -> Iterator[str]:
    """Yields a problem if the manifest is no table of the schema MANIFEST."""
    with version.dataset.open_input(version.path(MANIFEST_FILE)) as source:
        if not pq.read_schema(source).equals(MANIFEST):
            yield f"{version.dataset.url(version.path(MANIFEST_FILE))}: columns differ from the published schema"


def _differs(url: str, found: tuple[int, str], size: int, sha256: str) -> Iterator[str]:
    """Yields a problem if ``found``, bytes and SHA-256, is not what was published."""
    if found[0] != size:
        yield f"{url}: {found[0]:,} bytes, {size:,} were published; restore it or publish the dataset again"
    elif found[1] != sha256:
        yield f"{url}: content changed: SHA-256 {found[1][:12]}..., published {sha256[:12]}...; restore or republish it"


def _miscounted(version: Version, census: _Census, shards: pa.Table) -> Iterator[str]:
    """Yields a problem for each count of version.json that the tables do not have."""
    counts, where = version.record.counts, version.dataset.url(version.path(MANIFEST_FILE))
    failures, lineage = version.table(FAILURES_FILE), version.table(LINEAGE_FILE, ["since"])
    for what, found, said in (
        ("frames", census.frames, counts.frames),
        ("clips", len(census.clip_ids), counts.clips),
        ("clips with a lineage", len(lineage), counts.clips),
        ("data files", len(shards), counts.shards),
        ("failed or rejected clips", len(failures), counts.failed + counts.rejected),
    ):
        if found != said:
            yield f"{where}: {found:,} {what}, version.json says {said:,}"
    both = failures.filter(pc.is_in(failures["clip_id"], value_set=census.clip_ids))["clip_id"].unique()
    if len(both):
        first = pc.min(both).as_py()
        yield f"{where}: {counted(len(both), 'clip')} in both the manifest and failures.parquet, first {first}"
    if census.rows.keys() != set(shards["path"].to_pylist()):
        yield f"{where}: names other data files than shards.parquet"


def _data_problems(version: Version, promised: pa.Table, rows: pa.Table) -> list[str]:
    """Compares a data file with its hash (a row of shards.parquet) and its rows of the manifest; gives the problems."""
    path, size, sha256 = (promised[name][0].as_py() for name in SHARDS.names)
    url = version.dataset.url(path)
    try:
        data = version.dataset.read(path)
    except NotFound:
        return [f"{url}: missing, but version {version.number} names it; restore it or publish the dataset again"]
    except FlowreelError as error:
        return [str(error)]
    changed = list(_differs(url, (len(data), hashlib.sha256(data).hexdigest()), size, sha256))
    if changed:
        return changed
    try:
        check_file(data, rows)
    except IntegrityError as error:
        return [f"{url}: {error}"]
    return []
