"""Traces a clip of a version to the files it was rendered from, and a source file to its clips."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowreel.pipeline.dataset.data_file import clip_sources
from flowreel.pipeline.dataset.versions import LINEAGE_FILE, Version
from flowreel.pipeline.edits.check import inserts
from flowreel.pipeline.sources.arrange import PIECE
from flowreel.pipeline.sources.template import Template
from flowreel.schemas.errors import IntegrityError, UsageError


@dataclass(frozen=True)
class Origin:
    """A published clip: where it lies, and its row of ``flowreel.schemas.lineage.SOURCES``."""

    shard: str
    row_group: int
    sources: dict[str, Any]

    @property
    def clip_id(self) -> str:
        """Gives the clip's id."""
        return str(self.sources["clip_id"])

    @property
    def files(self) -> Iterator[str]:
        """Yields the paths of all files that it was rendered from: of maps below source.uri, of an exemplar its
        whole uri."""
        yield from (file["path"] for file in self.sources["label_files"])
        yield from (file["path"] for file in self.sources["instance_files"] if file)
        if self.sources["exemplar"]:
            yield self.sources["exemplar"]["path"]
        for frame in (frame for donor in self.sources["donors"] or () for frame in donor["frames"]):
            yield from (file["path"] for file in frame.values() if file)


def origins(version: Version, clip_ids: Iterable[str]) -> Iterator[Origin]:
    """Yields the origins of these clips, data file by data file: only footers are read.

    Raises UsageError for a clip that the version does not hold.
    """
    wanted = pa.array(sorted(set(clip_ids)), pa.string())
    places: dict[str, tuple[str, int]] = {}
    for part in version.manifest_parts(["clip_id", "shard", "row_group", "row"]):
        first = pc.and_(pc.equal(part["row"], 0), pc.is_in(part["clip_id"], value_set=wanted))
        places |= {row["clip_id"]: (row["shard"], row["row_group"]) for row in part.filter(first).to_pylist()}
    for clip_id in wanted.to_pylist():
        if clip_id not in places:
            raise UsageError(
                f"clip {clip_id}: version {version.number} of {version.dataset.uri} does not hold it; the column"
                " clip_id of its manifest lists those it holds"
            )
    by_shard = defaultdict[str, list[str]](list)
    for clip_id, (shard, _) in places.items():
        by_shard[shard].append(clip_id)
    for shard in sorted(by_shard):
        sources = {row["clip_id"]: row for row in _sources(version, shard).to_pylist()}
        yield from (Origin(*places[clip_id], sources[clip_id]) for clip_id in sorted(by_shard[shard]))


def rendered_from(version: Version, path: str) -> list[Origin]:
    """Finds the clips that were rendered from a source file: a label or instance map by its path below source.uri, an
    exemplar by its uri.

    Raises UsageError if there is none.
    """
    lineage = version.table(LINEAGE_FILE, ["clip_id", "sequence_id", "variant"])
    source = version.record.spec.source
    matches = (Template(text).match(path) for text in (source.frames, source.instances, source.guides) if text)
    names = {found[0] for found in matches if found}
    sequences = pa.array(sorted(names), pa.string())
    variants = [
        i
        for i, v in enumerate(version.record.spec.variants)
        if v.style == path or names & {edit.from_ for edit in inserts(v)}
    ]
    of_piece = pc.extract_regex(lineage["sequence_id"], rf"\A(?P<name>(?s:.+)){PIECE}[^/]*\z")
    near = pc.or_(
        pc.or_(
            pc.is_in(lineage["sequence_id"], value_set=sequences),
            pc.is_in(pc.struct_field(of_piece, "name"), value_set=sequences),
        ),
        pc.is_in(lineage["variant"], value_set=pa.array(variants, pa.int32())),
    )
    found = [o for o in origins(version, lineage.filter(near)["clip_id"].to_pylist()) if path in set(o.files)]
    if not found:
        raise UsageError(
            f"no clip of version {version.number} of {version.dataset.uri} was rendered from '{path}'; write the path"
            f" of a map below {source.place}, as the manifest's column source_frame does, or the uri of an exemplar"
        )
    return found


def _sources(version: Version, shard: str) -> pa.Table:
    url = version.dataset.url(shard)
    try:
        with version.dataset.open_input(shard) as file:
            return clip_sources(pq.read_metadata(file), url)
    except (ValueError, pa.ArrowException) as error:
        raise IntegrityError(f"{url}: damaged: {error}; `flowreel verify` lists all damage") from None
