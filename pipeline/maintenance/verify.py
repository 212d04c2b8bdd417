"""Re-reads a version and compares everything with what it promises: hashes, pairing, counts, decodability.

What a manifest says is compared with the media, with what the data files say of themselves in their footers, with the
lineage and with version.json.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.file_check import check_file
from flowreel.pipeline.dataset.file_hash import difference, size_and_hash
from flowreel.pipeline.dataset.versions import CARD_FILE, CROISSANT_FILE, MANIFEST_FILE, RECORD, SHARDS_FILE, Version
from flowreel.pipeline.maintenance.verify_counts import Census, miscounted
from flowreel.pipeline.maintenance.verify_order import FileRows, rows_by_file
from flowreel.pipeline.maintenance.verify_records import record_problems
from flowreel.pipeline.storage import NotFound
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import MANIFEST, SHARDS

READERS = 4  # data files under way at once: each is held in memory whole


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
    try:
        shards, census = version.table(SHARDS_FILE), Census.of(version)
        problems += miscounted(version, census, shards)
        problems += _check_files(version, census, shards, progress)
    except FlowreelError as error:  # a table that cannot be read to its end
        problems.append(str(error))
        return Verdict(0, 0, 0, tuple(problems))
    counts = version.record.counts
    return Verdict(len(shards), counts.clips, counts.frames, tuple(problems))


def _check_files(
    version: Version, census: Census, shards: pa.Table, progress: Callable[[int, int], None] | None
) -> list[str]:
    """Gives the problems of all data files. Raises IntegrityError for a table that cannot be read to its end."""
    space, problems = LabelSpace.model_validate(version.record.label_space), list[str]()

    def check(file: tuple[pa.Table, FileRows]) -> list[str]:
        return _data_problems(version, space, *file)

    files = _data_files(version, census, shards)
    for done, found in enumerate(prefetch(check, files, 2 * READERS, READERS), start=1):
        problems += found
        if progress:
            progress(done, len(shards))
    return problems


def _data_files(version: Version, census: Census, shards: pa.Table) -> Iterator[tuple[pa.Table, FileRows]]:
    """Yields each data file as its row of ``shards`` and its rows of the manifest, none for one that is not named.

    Of the manifest, only rows of files whose last row has not been read are in memory.
    """
    promised = {path: row for row, path in enumerate(shards["path"].to_pylist())}
    for path, rows in rows_by_file(version, census.rows):
        if path in promised:  # that others are named too is said already
            yield shards.slice(promised.pop(path), 1), rows
    for row in promised.values():
        yield shards.slice(row, 1), FileRows.none()


def _damaged_tables(version: Version) -> Iterator[str]:
    """Yields a problem for each file beside version.json whose bytes are not the recorded ones, or not recorded."""
    for name in sorted({CARD_FILE, CROISSANT_FILE} - version.record.files.keys()):
        yield f"{version.url(RECORD)}: field files: {name} is missing"
    for name, promised in version.record.files.items():
        path = version.path(name)
        try:
            problem = difference(
                version.url(name), size_and_hash(version.dataset, path), promised.size, promised.sha256
            )
        except FlowreelError as error:
            problem = str(error)
        if problem:
            yield problem


def _other_columns(version: Version) -> Iterator[str]:
    """Yields a problem if the manifest is no table of the schema MANIFEST."""
    url = version.url(MANIFEST_FILE)
    try:
        with version.dataset.open_input(version.path(MANIFEST_FILE)) as source:
            if not pq.read_schema(source).equals(MANIFEST):
                yield f"{url}: columns differ from the published schema"
    except (pa.ArrowException, OSError) as error:
        yield f"{url}: damaged: {error}"


def _data_problems(version: Version, space: LabelSpace, promised: pa.Table, rows: FileRows) -> list[str]:
    """Compares a data file with its hash (a row of shards.parquet), its rows of the manifest and its clips' lineage;
    gives the problems."""
    path, size, sha256 = (promised[name][0].as_py() for name in SHARDS.names)
    url = version.dataset.url(path)
    try:
        data = version.dataset.read(path)
    except NotFound:
        return [f"{url}: missing, but version {version.number} names it; restore it or publish the dataset again"]
    except FlowreelError as error:
        return [str(error)]
    if changed := difference(url, (len(data), hashlib.sha256(data).hexdigest()), size, sha256):
        return [changed]
    try:
        check_file(data, rows.manifest, space)
        return list(record_problems(version, space, url, data, rows))
    except FlowreelError as error:
        return [f"{url}: {error}"]
