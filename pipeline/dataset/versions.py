"""Published versions: which exist, and what they name."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from flowreel.pipeline.dataset import layout
from flowreel.pipeline.identity import as_clip_ids, ids_from_hex
from flowreel.pipeline.parquet import read_parquet
from flowreel.pipeline.storage import NotFound, Store, check_no_credentials
from flowreel.schemas.clip import CLIP_ID
from flowreel.schemas.errors import IntegrityError, StorageError, UsageError
from flowreel.schemas.version import VersionRecord

RECORD, MANIFEST_FILE, FAILURES_FILE, SHARDS_FILE, LINEAGE_FILE, CARD_FILE, CROISSANT_FILE = (
    "version.json", "manifest.parquet", "failures.parquet", "shards.parquet", "lineage.parquet", "README.md",
    "croissant.json",
)  # fmt: skip


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
        """Reads one of its files. Raises IntegrityError if version.json does not name it."""
        if name not in self.record.files:
            raise IntegrityError(f"{self.dataset.url(self.path(RECORD))}: damaged: it does not name {name}")
        return self.dataset.read(self.path(name), size=self.record.files[name].size)

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Reads one of its Parquet files. Raises IntegrityError if it does not open."""
        with self.opening(name):
            return read_parquet(self.read(name), columns)

    def manifest(self, columns: list[str] | None = None) -> pa.Table:
        """Reads its manifest as a whole."""
        return self.table(MANIFEST_FILE, columns)

    def manifest_columns(self) -> list[str]:
        """Gives the names of its manifest's columns: an older release may lack some."""
        with self.opening(MANIFEST_FILE), self.dataset.open_input(self.path(MANIFEST_FILE)) as source:
            return list(pq.read_schema(source).names)

    def manifest_parts(self, columns: list[str] | None = None, coded: Iterable[str] = ()) -> Iterator[pa.Table]:
        """Yields the manifest a row group at a time, as it may be larger than memory.

        ``coded``: columns to give as dictionaries. Raises IntegrityError if it does not open.
        """
        with self.opening(MANIFEST_FILE), self.dataset.open_input(self.path(MANIFEST_FILE)) as source:
            file = pq.ParquetFile(source, read_dictionary=list(coded), pre_buffer=True)
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns)

    @contextmanager
    def opening(self, name: str) -> Iterator[None]:
        """Turns what pyarrow raises for a damaged file (flipped bits: an OSError) into IntegrityError."""
        try:
            yield
        except StorageError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise IntegrityError(f"{self.dataset.url(self.path(name))}: damaged: {error}") from None

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


def numbers(dataset: Store) -> list[int]:
    """Gives the numbers of all published versions, rising."""
    found = (re.fullmatch(r"versions/(\d{6,})/version\.json", i.path) for i in dataset.list("versions"))
    return sorted(int(m[1]) for m in found if m)


def load(dataset: Store, number: int) -> Version:
    """Loads a version. Raises UsageError that lists the existing versions, IntegrityError for a damaged record."""
    try:
        data = dataset.read(f"{folder(number)}/{RECORD}")
    except NotFound:
        there = ", ".join(map(str, numbers(dataset))) or "none"
        raise UsageError(f"{dataset.uri} has no version {number}; published versions: {there}") from None
    try:
        return Version(dataset, VersionRecord.model_validate_json(data))
    except ValidationError as error:
        raise IntegrityError(
            f"{dataset.url(folder(number))}/{RECORD}: damaged: {error.error_count()} problems"
        ) from None


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
