"""Reads training frames: decoded, remapped, resized (vid2vid-spec, section 3.5)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_image, resize_ids, resize_image
from flowreel.pipeline.edits import remap_table, thing_regions
from flowreel.pipeline.edits.maps import filled, members
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

    def one(frame: TrainingFrame) -> FrameData:
        if source.points and frame.crop:
            found = _point_frame(source, frame, media)
            return replace(found, image_HW3=_image(source.store, frame, media, size))
        label = _decoded(source.store, frame.label, media, partial(_map_file, source, frame.label, "label"))
        raw_HW = label.ids_HW
        label_HW = resize_ids(table[raw_HW], size)
        unknown = set(np.unique(label_HW).tolist()) - source.space.ids
        if unknown:
            name, ids = source.store.url(frame.label.path), sorted(unknown)
            raise SourceError(f"{name}: label ids {ids} are unknown in label space '{source.space.name}'")
        image_HW3 = _image(source.store, frame, media, size)
        if frame.instance is None or media[frame.instance] is None:
            return FrameData(label_HW, thing_regions(label_HW, source.space), image_HW3)
        if label.instance_HW is not None:
            instance_HW = resize_ids(label.instance_HW, size)
            return FrameData(label_HW, filled(instance_HW, ~members(label_HW, source.space.things), 0), image_HW3)
        read = partial(_map_file, source, frame.instance, "instance")
        instance_HW = resize_ids(_decoded(source.store, frame.instance, media, read).ids_HW, size)
        return FrameData(label_HW, instance_HW, image_HW3)

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(one, frames))


def _map_file(source: TrainingSource, medium: Medium, role: str, data: bytes) -> MapFile:
    return source.decoder.read(data, medium.path, role)


def read_images(store: Store, frames: Sequence[TrainingFrame], size: tuple[int, int]) -> list[Rgb]:
    """Reads only the frames' images. Raises SourceError as `read_frames` does."""
    media = read_media(store, [f.image for f in frames])
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda f: _image(store, f, media, size), frames))


def _image(store: Store, frame: TrainingFrame, media: dict[Medium, bytes | None], size: tuple[int, int]) -> Rgb:
    image_HW3 = _decoded(store, frame.image, media, decode_image)
    return frame.crop.smooth(image_HW3) if frame.crop else resize_image(image_HW3, size)


def _point_frame(source: TrainingSource, frame: TrainingFrame, media: dict[Medium, bytes | None]) -> FrameData:
    assert source.points and frame.crop
    guide, mask = (media[m] if m else None for m in (frame.guide, frame.instance))
    try:
        return point_frame(source.points, source.space, Given(media[frame.label] or b"", guide, mask), frame.crop)
    except ValueError as error:
        raise SourceError(f"{source.store.url(frame.label.path)}: {error}") from None


def _decoded(store: Store, medium: Medium, media: dict[Medium, bytes | None], decode: Callable[[bytes], T]) -> T:
    try:
        return decode(media[medium] or b"")
    except ValueError as error:
        raise SourceError(f"{store.url(medium.path)}: {error}") from None
