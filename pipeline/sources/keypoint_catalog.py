"""Finds the sequences of a source of poses or faces: lists by the templates, reads new files, checks everything."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.sources.arrange import arrange
from flowreel.pipeline.sources.catalog import Catalog, Progress, by_sequence, nothing_found, read_facts
from flowreel.pipeline.sources.file_index import Role
from flowreel.pipeline.sources.frame_order import Order
from flowreel.pipeline.sources.keypoints.clip_crops import middle
from flowreel.pipeline.sources.keypoints.crop import Size
from flowreel.pipeline.sources.listing import FILES, list_matching
from flowreel.pipeline.sources.problems import File, sequence_problems
from flowreel.pipeline.sources.sequences import Maps, given_paths, rows_of
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import SourceError
from flowreel.schemas.sequence import DIGEST_BYTES, Sequences
from flowreel.schemas.source import SourceSpec


@dataclass(frozen=True)
class _Files:
    """The files of a source: those every frame has, the guides beside them, and masks of people."""

    main: Maps
    guides: Maps
    masks: Maps


def scan_points(
    store: Store, source: SourceSpec, known: pa.Table, size: Size, progress: Progress | None = None
) -> Catalog:
    """Lists and checks a source of poses or faces; see `catalog.scan`. ``size``: width, height of rendered frames.

    Raises SourceError if there are no frames at all, StorageError if the source cannot be listed or read.
    """
    templates = (source.frames, source.guides, source.instances)
    listing = list_matching(store, [t for t in templates if t])
    listed = iter(listing.tables)
    tables = [next(listed) if t else FILES.empty_table() for t in templates]
    if not len(tables[0]):
        raise SourceError(nothing_found(store, f"{source.kind}", source.frames, listing.skipped))
    found = arrange(tables, source)
    wanted = list(zip(found.tables, _roles(source), strict=True))
    facts, read = read_facts(store, wanted, known, progress)
    ends = np.cumsum([0, *(len(table) for table in found.tables)]).tolist()
    files = _Files(*(Maps(t, facts.slice(a, len(t))) for t, a in zip(found.tables, ends[:-1], strict=True)))
    guides, masks = found.orders
    named = [*found.problems, *_problems(source, size, files, guides, masks)]
    sequences = replace(
        _sequences(source, files, guides, masks, cut=found.recordings is not None), recordings=found.recordings
    )
    return Catalog(
        sequences,
        tuple(problem for _, problem in named),
        facts,
        read,
        {},
        notes=found.notes,
        skipped=listing.skipped,
        left_out=found.left_out,
        by_sequence=by_sequence(named),
    )


def _roles(source: SourceSpec) -> tuple[Role, Role, Role]:
    """Gives the roles that the three kinds of files are read in."""
    if source.face:
        return "landmarks", "image", "instance"
    assert source.pose is not None
    keypoints: Role = "skeleton" if source.pose.basic else "openpose"
    main: Role = keypoints if source.pose.openpose else "densepose"
    return main, "densepose" if source.pose.densepose else "image", "instance"


def _sequences(source: SourceSpec, files: _Files, guides: Order, masks: Order, *, cut: bool) -> Sequences:
    return Sequences(
        labels=source.frames,
        instances=source.instances,
        ids=guides.ids,
        size_S2=np.array([_size(source, files, guides, masks, s) for s in range(len(guides.ids))], np.int32),
        first_S1=guides.first_S1,
        names=guides.names,
        label_N32=rows_of(files.main.digests(), guides.label_N),
        instance_N32=_digests(files.masks, masks) if source.instances else None,
        guides=source.guides,
        guide_N32=_digests(files.guides, guides) if source.guides else None,
        label_paths=given_paths(files.main.files, guides.label_N, source.frames, cut=cut),
        instance_paths=given_paths(files.masks.files, masks.instance_N, source.instances, cut=cut),
        guide_paths=given_paths(files.guides.files, guides.instance_N, source.guides, cut=cut),
    )


def _digests(maps: Maps, order: Order) -> NDArray[np.uint8]:
    """Gathers the digest of each frame's file, zeros where it is missing; uint8 (N, 32)."""
    found_N32 = np.zeros((len(order.instance_N), DIGEST_BYTES), np.uint8)
    has = order.instance_N >= 0
    found_N32[has] = maps.digests()[order.instance_N[has]]
    return found_N32


def _size(source: SourceSpec, files: _Files, guides: Order, masks: Order, s: int) -> Size:
    """Gives the size of a sequence's pictures: the spec's, else that of the first map that is whole; 0, 0 without
    any."""
    if source.picture:
        return source.picture
    rows = slice(int(guides.first_S1[s]), int(guides.first_S1[s + 1]))
    among = ((files.main, guides.label_N), (files.guides, guides.instance_N), (files.masks, masks.instance_N))
    sizes = (maps.file(row).size for maps, found in among for row in found[rows].tolist() if row >= 0)
    return next((size for size in sizes if all(size)), (0, 0))


def _problems(source: SourceSpec, size: Size, files: _Files, guides: Order, masks: Order) -> Iterator[tuple[str, str]]:
    """Yields the problems of all sequences, and of files that belong to no frame, each with its sequence."""
    guide = "pose.densepose" if source.pose and source.pose.densepose else "images"
    beside = [(guide, files.guides, guides)] if source.guides else []
    beside += [("instances", files.masks, masks)] if source.instances else []
    for s, name in enumerate(guides.ids.to_pylist()):
        own = _size(source, files, guides, masks, s)
        rows = slice(int(guides.first_S1[s]), int(guides.first_S1[s + 1]))
        names = guides.names[rows].to_pylist()
        found = [files.main.file(row) for row in guides.label_N[rows].tolist()]
        # Keypoints have no size: they belong to pictures of that of the maps beside them.
        main = [file if any(file.size) else replace(file, size=own) for file in found]
        yield from ((name, problem) for problem in sequence_problems(name, dict(zip(names, main, strict=True)), None))
        for field, maps, order in beside:
            files_of = [maps.file(row) if row >= 0 else None for row in order.instance_N[rows].tolist()]
            problems = _beside(name, field, own, dict(zip(names, files_of, strict=True)))
            yield from ((name, problem) for problem in problems)
        if source.pose and source.pose.crop == "center" and all(own):
            try:
                middle(own, size)
            except ValueError as error:
                yield name, f"sequence '{name}': {error}"
    for field, maps, order in beside:
        for row in order.orphan_K.tolist():
            name = maps.files["sequence"][row].as_py()
            yield name, f"{maps.path(row)}: of source.{field}, but {source.frames} has no such frame"


def _beside(name: str, field: str, own: Size, files: dict[str, File | None]) -> Iterator[str]:
    """Yields what is wrong with the maps or images beside a sequence's frames."""
    missing = [frame for frame, file in files.items() if file is None]
    if missing:
        yield (
            f"sequence '{name}': source.{field} has nothing for {len(missing)} of {len(files)} frames, first"
            f" '{missing[0]}'; add them, or leave source.{field} out"
        )
    for file in files.values():
        if file and file.error:
            yield f"{file.path}: {file.error}"
        elif file and file.size != own:
            yield (
                f"{file.path}: size {file.size[0]}x{file.size[1]}, but pictures of sequence '{name}' are"
                f" {own[0]}x{own[1]}"
            )
