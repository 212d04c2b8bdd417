"""Reads training frames: decoded, remapped, resized (vid2vid-spec, section 3.5)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_image, resize_image
from flowreel.pipeline.edits import remap_table, thing_regions
from flowreel.pipeline.edits.maps import filled, members
from flowreel.pipeline.image_files import decoding
from flowreel.pipeline.sources.encodings import MapFile
from flowreel.pipeline.sources.keypoints.frames import Given
from flowreel.pipeline.storage import Store
from flowreel.pipeline.training.data.frame_data import FrameData
from flowreel.pipeline.training.data.keypoint_frames import point_frame
from flowreel.pipeline.training.data.read_media import READERS, read_media
from flowreel.pipeline.training.data.sequences import Medium, TrainingFrame
from flowreel.pipeline.training.data.sources import TrainingSource
from flowreel.schemas.errors import SourceError

T = TypeVar("T")
Rgb = NDArray[np.uint8]


def read_frames(source: TrainingSource, frames: Sequence[TrainingFrame], size: tuple[int, int]) -> list[FrameData]:
    """Reads frames at ``size`` (width, height). Raises SourceError for files that are gone, changed, damaged or have
    unknown ids."""
    wanted = [m for f in frames for m in (f.label, f.image, f.instance, f.guide) if m is not None]
    media, table = read_media(source.store, wanted), remap_table(source.remap, source.space)

    def map_file(medium: Medium, role: str, data: bytes) -> MapFile:
        return source.decoder.read(data, medium.path, role).resized(size)

    def one(frame: TrainingFrame) -> FrameData:
        if source.points and frame.crop:
            found = _point_frame(source, frame, media)
            return replace(found, image_HW3=_image(source.store, frame, media, size))
        label = _decoded(source.store, frame.label, media, partial(map_file, frame.label, "label"))
        label_HW = table[label.ids_HW]
        unknown = set(np.unique(label_HW).tolist()) - source.space.ids
        if unknown:
            name, ids = source.store.url(frame.label.path), sorted(unknown)
            raise SourceError(f"{name}: label ids {ids} are unknown in label space '{source.space.name}'")
        image_HW3 = _image(source.store, frame, media, size)
        if frame.instance is None or media[frame.instance] is None:
            return FrameData(label_HW, thing_regions(label_HW, source.space), image_HW3)
        if label.instance_HW is not None:
            instance_HW = filled(label.instance_HW, ~members(label_HW, source.space.things), 0)
            return FrameData(label_HW, instance_HW, image_HW3)
        instances = _decoded(source.store, frame.instance, media, partial(map_file, frame.instance, "instance"))
        return FrameData(label_HW, instances.ids_HW, image_HW3)

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(one, frames))


def read_images(store: Store, frames: Sequence[TrainingFrame], size: tuple[int, int]) -> list[Rgb]:
    """Reads only the frames' images. Raises SourceError as `read_frames` does."""
    media = read_media(store, [f.image for f in frames])
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda f: _image(store, f, media, size), frames))


def _image(store: Store, frame: TrainingFrame, media: dict[Medium, bytes | None], size: tuple[int, int]) -> Rgb:
    def at_size(data: bytes) -> Rgb:
        image_HW3 = decode_image(data)
        return frame.crop.smooth(image_HW3) if frame.crop else resize_image(image_HW3, size)

    return _decoded(store, frame.image, media, at_size)


def _point_frame(source: TrainingSource, frame: TrainingFrame, media: dict[Medium, bytes | None]) -> FrameData:
    assert source.points and frame.crop
    guide, mask = (media[m] if m else None for m in (frame.guide, frame.instance))
    try:
        return point_frame(source.points, source.space, Given(media[frame.label] or b"", guide, mask), frame.crop)
    except ValueError as error:
        raise SourceError(f"{source.store.url(frame.label.path)}: {error}") from None


def _decoded(store: Store, medium: Medium, media: dict[Medium, bytes | None], decode: Callable[[bytes], T]) -> T:
    """Decodes a medium, one that is large alone. Raises SourceError, naming it."""
    data = media[medium] or b""
    try:
        with decoding(data):
            return decode(data)
    except ValueError as error:
        raise SourceError(f"{store.url(medium.path)}: {error}") from None
