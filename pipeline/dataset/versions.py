"""Published versions: which exist, and what they name."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.dataset import layout
from flowreel.pipeline.dataset.checked_record import read_record
from flowreel.pipeline.dataset.checked_table import (
    STEP,
    check_columns,
    check_values,
    read_checked,
    reading,
)
from flowreel.pipeline.dataset.file_hash import check_hash
from flowreel.pipeline.dataset.manifest_order import ManifestOrder
from flowreel.pipeline.identity import as_clip_ids, ids_from_hex
from flowreel.pipeline.storage import NotFound, Store, check_no_credentials
from flowreel.schemas.clip import CLIP_ID
from flowreel.schemas.errors import IntegrityError, UsageError
from flowreel.schemas.lineage import LINEAGE
from flowreel.schemas.manifest import FAILURES, MANIFEST, SHARDS
from flowreel.schemas.rules import FAILURES_RULES, LINEAGE_RULES, MANIFEST_RULES, SHARDS_RULES
from flowreel.schemas.version import VersionRecord

RECORD, MANIFEST_FILE, FAILURES_FILE, SHARDS_FILE, LINEAGE_FILE, CARD_FILE, CROISSANT_FILE = (
    "version.json", "manifest.parquet", "failures.parquet", "shards.parquet", "lineage.parquet", "README.md",
    "croissant.json",
)  # fmt: skip
TABLES = {
    MANIFEST_FILE: (MANIFEST, MANIFEST_RULES), FAILURES_FILE: (FAILURES, FAILURES_RULES),
    SHARDS_FILE: (SHARDS, SHARDS_RULES), LINEAGE_FILE: (LINEAGE, LINEAGE_RULES),
}  # fmt: skip

DROPPED_FILE = "dropped.json"  # in the folder of a version that was dropped: what its record said


def split_uri(dataset: str) -> tuple[str, int | None]:
    """Splits DATASET@N into (DATASET, N); N is None if it is not given. Raises StorageError for a URL with a secret."""
    check_no_credentials(dataset)
    found = re.fullmatch(r"(.+)@(\d+)", dataset)
    return (found[1], int(found[2])) if found else (dataset, None)


CLIPS_HEAD = pa.schema(
    [
        ("clip_id", CLIP_ID),
        ("sequence_id", pa.dictionary(pa.int32(), pa.string())),
        ("variant", pa.int32()),
        ("timestamp_s", pa.float64()),  # of its first frame
    ]
)
CLIPS = CLIPS_HEAD.append(pa.field("frames", pa.int32()))


def folder(number: int) -> str:
    """Gives the folder of a version's files."""
    return layout.VERSION.format(number=number)


@dataclass(frozen=True)
class Version:
    """A published version: its record, and access to its tables."""

    dataset: Store
    record: VersionRecord

    @property
    def number(self) -> int:
        return self.record.number

    def path(self, name: str) -> str:
        """Gives the path of one of its files in the dataset."""
        return f"{folder(self.number)}/{name}"

    def read(self, name: str) -> bytes:
        """Reads one of its files."""
        return self.dataset.read(self.path(name), size=self.record.files[name].size)

    def url(self, name: str) -> str:
        """Gives the path or URL of one of its files, for messages."""
        return self.dataset.url(self.path(name))

    def check_hash(self, name: str) -> None:
        """Reads one of its files and raises IntegrityError unless its bytes are the published ones."""
        promised = self.record.files[name]
        check_hash(self.dataset, self.path(name), promised.size, promised.sha256)

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Reads one of its Parquet files as a whole, less columns that an older release did not have.

        Raises IntegrityError if it does not open, or holds what it must not.
        """
        found = read_checked(self.read(name), self.url(name), *TABLES[name], columns)
        if name == MANIFEST_FILE and len(found):
            ManifestOrder(self.url(name)).check(found)
        return found

    def manifest(self, columns: list[str] | None = None) -> pa.Table:
        """Reads its manifest as a whole."""
        return self.table(MANIFEST_FILE, columns)

    def manifest_columns(self) -> list[str]:
        """Gives the names of its manifest's columns: an older release may lack some."""
        with reading(self.url(MANIFEST_FILE)), self.dataset.open_input(self.path(MANIFEST_FILE)) as source:
            schema = pq.read_schema(source)
        check_columns(schema, self.url(MANIFEST_FILE), MANIFEST, MANIFEST_RULES)
        return list(schema.names)

    def manifest_parts(self, columns: list[str] | None = None, coded: Iterable[str] = ()) -> Iterator[pa.Table]:
        """Yields the manifest a row group at a time, as it may be larger than memory.

        ``coded``: columns to give as dictionaries. Raises IntegrityError if it does not open, or holds what it must
        not: values out of bounds, or frames out of order.
        """
        url, first = self.url(MANIFEST_FILE), 0
        order = ManifestOrder(url)
        with self.dataset.open_input(self.path(MANIFEST_FILE)) as source:
            with reading(url):
                file = pq.ParquetFile(source, read_dictionary=list(coded), pre_buffer=True)
                schema = file.schema_arrow
            check_columns(schema, url, MANIFEST, MANIFEST_RULES)
            for group in range(file.num_row_groups):
                with reading(url):
                    part = file.read_row_group(group, columns)
                if len(part):
                    check_values(part, url, MANIFEST_RULES, first)
                    order.check(part)
                    first += len(part)
                    yield part

    def clips(self) -> pa.Table:
        """Gives one row per published clip, in manifest order: columns CLIPS."""
        columns = ["clip_id", "sequence_id", "variant", "timestamp_s", "frame_index"]
        heads, first, before = [CLIPS_HEAD.empty_table()], [], 0
        for part in self.manifest_parts(columns, coded=["clip_id", "sequence_id"]):
            at = np.flatnonzero(part["frame_index"].to_numpy() == 0)
            head = part.take(pa.array(at))
            ids = as_clip_ids(ids_from_hex(head["clip_id"].combine_chunks().dictionary_decode()))
            heads.append(pa.table([ids, *head.columns[1:4]], schema=CLIPS_HEAD))
            first.append(before + at)
            before += len(part)
        frames = np.diff(np.concatenate([*first, [before]])).astype(np.int32)
        return pa.concat_tables(heads).unify_dictionaries().append_column("frames", pa.array(frames))

    def splits(self) -> dict[str, str]:
        """Gives the split of each sequence that it has clips of."""
        columns, found = ["sequence_id", "split"], dict[str, str]()
        for part in self.manifest_parts(columns, coded=columns):
            for row in part.group_by(columns).aggregate([]).to_pylist():
                found.setdefault(row["sequence_id"], row["split"])
        return found


def numbers(dataset: Store) -> list[int]:
    """Gives the numbers of all published versions, rising."""
    found = (re.fullmatch(rf"versions/({layout.NUMBER})/version\.json", i.path) for i in dataset.list("versions"))
    return sorted(int(m[1]) for m in found if m)


def load(dataset: Store, number: int) -> Version:
    """Loads a version. Raises UsageError that lists the existing versions, IntegrityError for a damaged record."""
    try:
        data = dataset.read(f"{folder(number)}/{RECORD}")
    except NotFound:
        there = ", ".join(map(str, numbers(dataset))) or "none"
        raise UsageError(f"{dataset.uri} has no version {number}; published versions: {there}") from None
    url = dataset.url(f"{folder(number)}/{RECORD}")
    record = read_record(data, url, VersionRecord, STEP)
    if record.number != number:
        raise IntegrityError(f"{url}: damaged: field number: {record.number}, must be {number}; {STEP}")
    if missing := sorted(TABLES.keys() - record.files.keys()):
        raise IntegrityError(f"{url}: damaged: field files: {missing[0]} is missing; {STEP}")
    return Version(dataset, record)


def published_plans(dataset: Store) -> frozenset[str]:
    """Gives the ids of the plans whose versions are published, or were until retention dropped them."""
    plans = set[str]()
    for info in dataset.list("versions"):
        if re.fullmatch(rf"versions/{layout.NUMBER}/({re.escape(RECORD)}|{re.escape(DROPPED_FILE)})", info.path):
            with suppress(NotFound, IntegrityError):  # gone meanwhile; or damaged, which is for others to say
                plans.add(read_record(dataset.read(info.path), dataset.url(info.path), VersionRecord, STEP).plan_id)
    return frozenset(plans)


def newest(dataset: Store) -> Version | None:
    """Loads the newest version; None if there is none."""
    while there := numbers(dataset):
        try:
            return load(dataset, there[-1])
        except UsageError:  # deleted meanwhile: then there is a newer one
            if numbers(dataset)[-1:] == there[-1:]:
                raise
    return None


def open_version(dataset: Store, number: int | None = None) -> Version:
    """Opens a version by number, or the newest. Raises UsageError if there is none."""
    if number is not None:
        return load(dataset, number)
    found = newest(dataset)
    if found is None:
        raise UsageError(f"{dataset.uri} holds no published version; `flowreel render SPEC` publishes one")
    return found
