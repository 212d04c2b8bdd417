"""`flowreel status DATASET --clip ID` and `--source FILE`: what a clip was made from; which clips a file is in."""

from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from flowreel.pipeline.dataset.versions import LINEAGE_FILE, RECORD, Version
from flowreel.pipeline.maintenance.provenance import LISTED, Origin, origins, rendered_from
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.wording import counted

SHOWN = 20  # clips


def clip(version: Version, clip_id: str) -> dict[str, Any]:
    """Gives all that a clip was made from, ready for JSON. Raises UsageError if the version does not hold it."""
    (origin,) = origins(version, [clip_id])
    lineage = version.table(LINEAGE_FILE, ["clip_id", "since"])
    since = lineage.filter(pc.equal(lineage["clip_id"], clip_id))["since"].to_pylist()
    if not since:
        raise IntegrityError(f"{version.url(LINEAGE_FILE)}: clip {clip_id} is missing; {LISTED}")
    record, source = version.record, origin.sources
    return {
        **_place(origin),
        "version": version.number,
        "since": since[0],
        "shard": version.dataset.url(origin.shard),
        "row_group": origin.row_group,
        "source": record.spec.source.place,
        "label_files": source["label_files"],
        "instance_files": [file for file in source["instance_files"] if file],
        "exemplar": source["exemplar"],
        "generator": record.settings.generator,
        "checkpoint": record.spec.generator.checkpoint,
        "flowreel": source["flowreel"],
        "render_format": source["render_format"],
        "spec": version.dataset.url(version.path(RECORD)),
    }


def clip_lines(figures: dict[str, Any]) -> Iterator[str]:
    """Words what a clip was made from, line by line."""
    yield f"clip {figures['clip_id']}: {_frames(figures)}"
    yield f"  in version {figures['version']}, first in version {figures['since']}"
    yield f"  row group {figures['row_group']} of {figures['shard']}"
    yield f"  generator {figures['generator']} from checkpoint {figures['checkpoint']}"
    yield f"  rendered by Flowreel {figures['flowreel']}, render format {figures['render_format']}"
    yield f"  spec in {figures['spec']}"
    yield f"  label maps below {figures['source']}:"
    yield from (f"    {file['sha256'][:16]}  {file['path']}" for file in figures["label_files"])
    if figures["instance_files"]:
        yield "  instance maps:"
        yield from (f"    {file['sha256'][:16]}  {file['path']}" for file in figures["instance_files"])
    if figures["exemplar"]:
        yield f"  exemplar: {figures['exemplar']['sha256'][:16]}  {figures['exemplar']['path']}"


def source(version: Version, path: str) -> list[dict[str, Any]]:
    """Gives the clips rendered from a source file, ready for JSON. Raises UsageError if there is none."""
    return [_place(origin) for origin in rendered_from(version, path)]


def source_lines(clips: list[dict[str, Any]], path: str) -> Iterator[str]:
    """Words which clips a source file is in, line by line."""
    yield f"{path} is in {counted(len(clips), 'clip')}"
    for c in clips[:SHOWN]:
        yield f"  {c['clip_id']}  {_frames(c)}"
    if len(clips) > SHOWN:
        yield f"  ... and {len(clips) - SHOWN:,} more; --json lists all"


def _frames(c: dict[str, Any]) -> str:
    last = c["start"] + c["frames"] - 1
    return f"label frames {c['start']}..{last} of sequence {c['sequence_id']}, variant {c['variant']}"


def _place(origin: Origin) -> dict[str, Any]:
    return {name: origin.sources[name] for name in ("clip_id", "sequence_id", "variant", "start", "frames", "split")}
