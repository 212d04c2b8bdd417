"""Fetches the maps that a clip is rendered from: read, checked against the plan, remapped, resized, edited."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_image, resize_image
from flowreel.pipeline.edits import Ids, Maps, apply_edits, remap_table, thing_regions
from flowreel.pipeline.edits.instances import NONE, with_one_none
from flowreel.pipeline.edits.maps import filled, members
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.image_files import decoding
from flowreel.pipeline.render.job import RenderJob
from flowreel.pipeline.sources.encodings import MapFile
from flowreel.pipeline.sources.keypoints.clip_crops import crops_of
from flowreel.pipeline.sources.keypoints.frames import (
    Given,
    PointFrame,
    conditioning,
    decode_frame,
    instance_map,
    label_map,
)
from flowreel.pipeline.sources.keypoints.published import People, keypoints_of
from flowreel.pipeline.sources.procedural import draw_maps, draw_truth
from flowreel.pipeline.sources.scenes import Truth
from flowreel.pipeline.sources.verified_read import read_all_unchanged, read_unchanged
from flowreel.pipeline.storage import Store, open_file
from flowreel.schemas.clip import Clip, Exemplar
from flowreel.schemas.edit import applied_in
from flowreel.schemas.encoding import holds_instances
from flowreel.schemas.errors import SourceError
from flowreel.schemas.sequence import Frame, SourceFile

READERS = 8  # requests in flight, per shard
AT_ONCE = 64  # files whose bytes a shard holds at a time
DECODERS = 2  # threads, per shard: more would take the processors from the generator


@dataclass(frozen=True)
class ClipMaps:
    """The maps that are published, and what conditions the generator."""

    label_THW: NDArray[np.integer]  # ids of the label space, uint8 if all its ids fit
    instance_THW: NDArray[np.integer] | None  # None where the source has none
    conditioning: Conditioning
    keypoints: list[People] | None = None  # of poses and faces, per frame
    truth: Truth | None = None  # of procedural scenes without edits, which do not move what was painted


def fetch_clip(clip: Clip, job: RenderJob) -> ClipMaps:
    """Fetches a clip. Raises SourceError if a file is gone, has changed since it was checked, or does not decode."""
    if job.spec.source.kind in ("pose", "face"):
        return _points(clip, job)
    wants_instances = job.needs_instances and all(f.instance for f in clip.frames)
    maps = fetch_maps(clip.frames, job, instances=wants_instances)
    edits = applied_in(job.spec.variants[clip.variant].edits, clip.sequence_id)
    donors = [fetch_maps(donor.frames, job, instances=True) for donor in clip.donors]
    label_THW, instance_THW = apply_edits(*maps, edits, job.space, donors)
    edges = instance_THW
    if job.checkpoint.config.use_instance and edges is None:
        edges = thing_regions(label_THW, job.space)
    exemplar = fetch_exemplar(clip.exemplar, job) if clip.exemplar else None
    return ClipMaps(label_THW, instance_THW, Conditioning(label_THW, edges, exemplar), truth=_truth(clip, job))


def _points(clip: Clip, job: RenderJob) -> ClipMaps:
    """Fetches a clip of poses or faces."""
    assert job.source is not None
    store, source = job.source, job.spec.source

    def decoded(frame: Frame) -> PointFrame:
        guide, mask = (read_unchanged(store, f) if f else None for f in (frame.guide, frame.instance))
        main = read_unchanged(store, frame.label)
        try:
            return decode_frame(source, Given(main, guide, mask))
        except ValueError as error:
            raise SourceError(f"{store.url(frame.label.path)}: {error}") from None

    with ThreadPoolExecutor(READERS) as pool:
        frames = list(pool.map(decoded, clip.frames))
    crops = crops_of(source, frames, job.settings.size)
    pairs = list(zip(frames, crops, strict=True))
    label_THW = np.stack([label_map(*pair) for pair in pairs])
    instances = [found for pair in pairs if (found := instance_map(*pair)) is not None]
    instance_THW = np.stack(instances) if instances else None
    edges = thing_regions(label_THW, job.space) if instance_THW is None else instance_THW
    picture_TLHW = np.stack([conditioning(source, *pair) for pair in pairs])
    exemplar = fetch_exemplar(clip.exemplar, job) if clip.exemplar else None
    given = Conditioning(label_THW, edges, exemplar, picture_TLHW=picture_TLHW)
    return ClipMaps(label_THW, instance_THW, given, keypoints_of(frames, crops))


def _truth(clip: Clip, job: RenderJob) -> Truth | None:
    """Computes the ground truth of a procedural clip; None if it is not published, or edits made it wrong."""
    like, output = job.spec.source.procedural, job.spec.output
    if like is None or not (output.flow or output.depth) or job.spec.variants[clip.variant].edits:
        return None
    return draw_truth(like, clip.frames, job.settings.size)


def fetch_maps(frames: Sequence[Frame], job: RenderJob, *, instances: bool) -> Maps:
    """Fetches the maps of frames as they are before any edit: remapped, and resized to the rendered size."""
    maps, count = _read(frames, job, instances=instances), len(frames)
    table = remap_table(job.spec.source.classes_of_ids, job.space)
    kind = np.uint8 if max(job.space.ids) < 256 else np.uint16
    raw_THW = np.stack(maps[:count])
    label_THW: Ids = table[raw_THW].astype(kind)
    if not instances:
        return Maps(label_THW, None)
    thing_THW = members(label_THW, job.space.things)
    every = zip(raw_THW, maps[count:], thing_THW, strict=True)
    instance_THW: Ids = np.stack([with_one_none(raw, found, things) for raw, found, things in every])
    if holds_instances(job.spec.source.encoding):  # what they say of stuff tells no objects apart
        instance_THW = filled(instance_THW, ~thing_THW, NONE)
    return Maps(label_THW, instance_THW)


def _read(frames: Sequence[Frame], job: RenderJob, *, instances: bool) -> list[NDArray[np.integer]]:
    """Reads label maps, then instance maps if they are wanted, at the rendered size."""
    if like := job.spec.source.procedural:
        label_THW, instance_THW = draw_maps(like, frames, job.settings.size)
        return [*label_THW, *(instance_THW if instances else ())]
    assert job.source is not None
    store, files = job.source, [f.label for f in frames]
    together = holds_instances(job.spec.source.encoding)
    if not together:
        files += [f.instance for f in frames if instances and f.instance]
    roles = ["label"] * len(frames) + ["instance"] * (len(files) - len(frames))
    decode, found = partial(_map_file, job, store), list[MapFile]()
    with ThreadPoolExecutor(DECODERS) as pool:
        for first in range(0, len(files), AT_ONCE):
            some = files[first : first + AT_ONCE]
            found += pool.map(decode, some, read_all_unchanged(store, some), roles[first : first + AT_ONCE])
    beside = [m.instance_HW for m in found if instances and m.instance_HW is not None] if together else []
    return [*(m.ids_HW for m in found), *beside]


def fetch_exemplar(exemplar: Exemplar, job: RenderJob) -> NDArray[np.uint8]:
    """Fetches the exemplar image at the rendered size, uint8 (H, W, 3) RGB."""
    store, name = open_file(exemplar.uri, job.spec.storage_options)
    data = read_unchanged(store, SourceFile(name, exemplar.digest))
    return resize_image(decode_image(data), job.settings.size)


def _map_file(job: RenderJob, store: Store, file: SourceFile, data: bytes, role: str) -> MapFile:
    """Decodes a map at the rendered size. Raises SourceError, naming the file."""
    try:
        with decoding(data):
            return job.decoder.read(data, file.path, role).resized(job.settings.size)
    except ValueError as error:
        raise SourceError(f"{store.url(file.path)}: {error}") from None
