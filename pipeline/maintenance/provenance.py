"""Traces a clip of a version to the files it was rendered from, and a source file to its clips."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowreel.pipeline.dataset.checked_table import check_values
from flowreel.pipeline.dataset.data_file import clip_sources
from flowreel.pipeline.dataset.versions import LINEAGE_FILE, Version
from flowreel.pipeline.edits.check import inserts
from flowreel.pipeline.sources.arrange import PIECE
from flowreel.pipeline.sources.template import Template
from flowreel.pipeline.storage import NotFound
from flowreel.schemas.errors import IntegrityError, UsageError
from flowreel.schemas.rules import SOURCES_RULES

LISTED = "`flowreel verify` lists all damage"


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
        url = version.dataset.url(shard)
        for clip_id in by_shard[shard]:
            if clip_id not in sources or not _complete(sources[clip_id]):
                raise IntegrityError(f"{url}: its footer does not say what clip {clip_id} was rendered from; {LISTED}")
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
            found = clip_sources(pq.read_metadata(file), url)
    except (ValueError, OSError, pa.ArrowException) as error:
        if isinstance(error, NotFound):
            raise
        raise IntegrityError(f"{url}: damaged: {error}; {LISTED}") from None
    check_values(found, f"{url}: footer", SOURCES_RULES)
    return found


def _complete(sources: dict[str, Any]) -> bool:
    """Tells whether a clip's sources name a file for each of its frames, with its hash."""
    labels, instances = sources["label_files"], sources["instance_files"]
    if len(labels) < sources["frames"] or len(instances) != sources["frames"]:
        return False
    donors = sources["donors"] or []
    if not all(donor and donor["sequence_id"] and all(donor["frames"] or [None]) for donor in donors):
        return False
    frames = [frame for donor in donors for frame in donor["frames"]]
    must = [*labels, *(frame["label"] for frame in frames)]
    may = [*instances, sources["exemplar"], *(frame["instance"] for frame in frames)]
    return all(file and file["path"] and file["sha256"] for file in [*must, *filter(None, may)])
