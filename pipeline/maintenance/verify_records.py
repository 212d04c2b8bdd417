"""Compares what a manifest says of one data file with other records of the same: the file's own footer, the lineage,
and version.json."""

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowreel.pipeline.dataset.checked_table import check_values, reading
from flowreel.pipeline.dataset.data_file import clip_sources, manifest_rows
from flowreel.pipeline.dataset.versions import LINEAGE_FILE, MANIFEST_FILE, Version
from flowreel.pipeline.maintenance.verify_order import FileRows
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.lineage import LINEAGE
from flowreel.schemas.rules import MANIFEST_RULES, SOURCES_RULES

_OF_BOTH = ("clip_id", "sequence_id", "variant", "split")  # columns of manifest and lineage


def record_problems(version: Version, space: LabelSpace, url: str, data: bytes, rows: FileRows) -> Iterator[str]:
    """Yields the first difference of each kind between a data file's rows of the manifest and other records.

    ``rows``: all that manifest and lineage say of the file, in manifest order. Raises IntegrityError for a footer that
    cannot be read.
    """
    if not len(rows.manifest):
        return
    with reading(url):
        footer = pq.read_metadata(io.BytesIO(data))
        named, sources = manifest_rows(footer, url), clip_sources(footer, url)
    check_values(named, f"{url}: footer", MANIFEST_RULES)
    check_values(sources, f"{url}: footer", SOURCES_RULES)
    where = f"{version.url(MANIFEST_FILE)}, rows of {url.rpartition('/')[2]}"
    yield from _off_version(version, space, where, rows.manifest)
    yield from _off_footer(where, rows.manifest, named)
    yield from _off_lineage(version, rows, sources)


def _off_version(version: Version, space: LabelSpace, where: str, manifest: pa.Table) -> Iterator[str]:
    """Yields a problem for values that version.json does not allow."""
    record = version.record
    width, height = record.settings.size
    allowed: dict[str, list[Any]] = {
        "generator": [record.settings.generator], "label_space": [space.name], "width": [width], "height": [height],
        "variant": list(range(len(record.spec.variants))),
    }  # fmt: skip
    for name, values in allowed.items():
        unlike = [value for value in manifest[name].unique().to_pylist() if value not in values]
        if unlike:
            said = str(values[0]) if len(values) == 1 else "one of " + ", ".join(map(str, values[:10]))
            yield f"{where}: column {name}: {unlike[0]}, version.json says {said}"
    ids = pc.list_flatten(manifest["class_ids"]).unique().to_pylist()
    if unknown := sorted(set(ids) - space.ids):
        yield f"{where}: column class_ids: {unknown[0]} is no class of label space '{space.name}'"


def _off_footer(where: str, manifest: pa.Table, named: pa.Table) -> Iterator[str]:
    """Yields a problem for each column that the file's own footer has with other values."""
    in_order = [("row_group", "ascending"), ("row", "ascending")]
    listed = manifest.sort_by(in_order)
    own = named.filter(pc.is_in(named["row_group"], value_set=listed["row_group"].unique())).sort_by(in_order)
    if len(own) != len(listed):
        yield f"{where}: {len(listed)} rows, but the file's footer has {len(own)}"
        return
    for name in listed.column_names:
        if listed[name].equals(own[name]):
            continue
        pairs = zip(listed[name].to_pylist(), own[name].to_pylist(), strict=True)
        row = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
        clip, frame = listed["clip_id"][row].as_py(), listed["frame_index"][row].as_py()
        said, stored = listed[name][row].as_py(), own[name][row].as_py()
        yield f"{where}: column {name} of clip {clip}, frame {frame}: {said!r}, the data file says {stored!r}"


def _off_lineage(version: Version, rows: FileRows, sources: pa.Table) -> Iterator[str]:
    """Yields a problem for the first clip whose lineage or source frames are others."""
    if len(rows.lineage) < pc.sum(pc.equal(rows.manifest["frame_index"], 0)).as_py():
        return  # lineage.parquet ends early, which is said already
    own = {row["clip_id"]: row for row in sources.to_pylist()}
    heads = rows.manifest.filter(pc.equal(rows.manifest["frame_index"], 0)).select(_OF_BOTH).to_pylist()
    frames: dict[str, list[str]] = {}
    for clip_id, name in zip(*(rows.manifest[n].to_pylist() for n in ("clip_id", "source_frame")), strict=True):
        frames.setdefault(clip_id, []).append(name)
    for head, lineage in zip(heads, rows.lineage.to_pylist(), strict=True):
        where, clip_id = f"{version.url(LINEAGE_FILE)}: clip {head['clip_id']}", head["clip_id"]
        for name in _OF_BOTH:
            if head[name] != lineage[name]:
                yield f"{where}: column {name}: {lineage[name]!r}, the manifest says {head[name]!r}"
                return
        if (source := own.get(clip_id)) is None:
            yield f"{where}: its data file does not say what it was rendered from"
            return
        for name in LINEAGE.names[:-1]:
            if lineage[name] != source[name]:
                yield f"{where}: column {name}: {lineage[name]!r}, the data file says {source[name]!r}"
                return
        labels = [file["path"] if file else None for file in source["label_files"][: source["frames"]]]
        # Without a lead-in, the first label frames get no image.
        if labels[len(labels) - len(frames[clip_id]) :] != frames[clip_id]:
            yield f"{where}: its label files are not the manifest's source_frame"
            return
