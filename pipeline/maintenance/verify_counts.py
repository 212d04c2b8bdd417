"""Counts what the tables of a version hold, and compares it with version.json."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.versions import (
    FAILURES_FILE,
    LINEAGE_FILE,
    MANIFEST_FILE,
    RECORD,
    SHARDS_FILE,
    Version,
)
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.wording import counted


@dataclass(frozen=True)
class Census:
    """Says what a manifest holds, as far as it has to be known before its rows are read."""

    frames: int
    clips: int
    clip_ids: pa.Array  # distinct ones
    sequences: int  # distinct ones
    rows: Counter[str]  # per data file

    @classmethod
    def of(cls, version: Version) -> "Census":
        """Counts in four columns of the manifest. Raises IntegrityError if it is damaged."""
        columns = ["clip_id", "sequence_id", "frame_index", "shard"]
        frames, clips, rows, sequences = 0, 0, Counter[str](), set[str]()
        clip_ids = [pa.array([], pa.string())]
        for part in version.manifest_parts(columns, coded=["clip_id", "sequence_id", "shard"]):
            frames += len(part)
            clips += pc.sum(pc.equal(part["frame_index"], 0)).as_py()
            clip_ids.append(part["clip_id"].unique().dictionary_decode())
            sequences.update(part["sequence_id"].unique().to_pylist())
            for item in part["shard"].value_counts().to_pylist():
                rows[item["values"]] += item["counts"]
        return cls(frames, clips, pa.chunked_array(clip_ids).unique(), len(sequences), rows)


def miscounted(version: Version, census: Census, shards: pa.Table) -> Iterator[str]:
    """Yields a problem for each count of version.json that the tables do not have, and for clips that stand twice."""
    counts, where = version.record.counts, version.url(MANIFEST_FILE)
    failures, lineage = version.table(FAILURES_FILE), version.table(LINEAGE_FILE, ["clip_id", "since"])
    kinds = Counter(failures["kind"].to_pylist())
    for what, found, said in (
        ("frames", census.frames, counts.frames),
        ("clips", len(census.clip_ids), counts.clips),
        ("sequences", census.sequences, counts.sequences),
        ("clips with a lineage", len(lineage), counts.clips),
        ("data files", len(shards), counts.shards),
        ("bytes of data files", pc.sum(shards["size"]).as_py() or 0, counts.bytes),
        ("failed clips", kinds["failed"], counts.failed),
        ("rejected clips", kinds["rejected"], counts.rejected),
        ("clips rendered or taken over", counts.clips, counts.rendered + counts.reused),
    ):
        if found != said:
            yield f"{where}: {found:,} {what}, version.json says {said:,}"
    yield from _doubled(version, census, failures, shards)
    if len(lineage) and (newest := pc.max(lineage["since"]).as_py()) > version.number:
        yield f"{version.url(LINEAGE_FILE)}: column since: {newest}, must be at most {version.number}"
    yield from _off_base(version)


def _doubled(version: Version, census: Census, failures: pa.Table, shards: pa.Table) -> Iterator[str]:
    """Yields a problem for what stands twice, or in one table and not in the other."""
    where = version.url(MANIFEST_FILE)
    if census.clips != len(census.clip_ids):
        yield f"{where}: {counted(census.clips - len(census.clip_ids), 'clip')} more than once"
    both = failures.filter(pc.is_in(failures["clip_id"], value_set=census.clip_ids))["clip_id"].unique()
    if len(both):
        first = pc.min(both).as_py()
        yield f"{where}: {counted(len(both), 'clip')} in both the manifest and failures.parquet, first {first}"
    for name, column in ((FAILURES_FILE, failures["clip_id"]), (SHARDS_FILE, shards["path"])):
        if len(column.unique()) < len(column):
            first = next(item["values"] for item in column.value_counts().to_pylist() if item["counts"] > 1)
            yield f"{version.url(name)}: {first} stands there more than once"
    paths = set(shards["path"].to_pylist())
    if census.rows.keys() != paths:
        first = min(census.rows.keys() ^ paths)
        yield f"{where}: names other data files than shards.parquet, first {first}"


def _off_base(version: Version) -> Iterator[str]:
    """Yields a problem where what was taken over is not what the version before held, if that is still there."""
    record = version.record
    if record.base_version is None:
        if record.counts.reused or record.counts.dropped:
            yield f"{version.url(RECORD)}: counts.reused, counts.dropped: must be 0 without a base_version"
        return
    if record.base_version >= record.number:
        yield f"{version.url(RECORD)}: base_version: {record.base_version}, must be below {record.number}"
        return
    with suppress(FlowreelError):  # dropped since, or damaged itself
        base = versions.load(version.dataset, record.base_version).record.counts
        if record.counts.reused + record.counts.dropped != base.clips:
            yield (
                f"{version.url(RECORD)}: counts.reused {record.counts.reused:,} and counts.dropped"
                f" {record.counts.dropped:,} do not make the {counted(base.clips, 'clip')} of version"
                f" {record.base_version}"
            )
