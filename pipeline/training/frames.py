"""Frames as networks are trained on them: read, decoded, remapped, resized (vid2vid-spec, section 3.5)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.codec import decode_ids, decode_image, resize_ids, resize_image
from pipeline.edits import remap_table, thing_regions
from pipeline.storage import Store
from pipeline.training.media import READERS, read_media
from pipeline.training.sequences import Medium, TrainingFrame
from pipeline.training.sources import TrainingSource
from schemas.errors import SourceError

T = TypeVar("T")
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameData:
    """One frame at the training size, before augmentation."""

    label_HW: NDArray[np.integer]  # ids of the label space
    instance_HW: NDArray[np.integer]
    image_HW3: Rgb

    @property
    def nbytes(self) -> int:
        return self.label_HW.nbytes + self.instance_HW.nbytes + self.image_HW3.nbytes


def read_frames(source: TrainingSource, frames: Sequence[TrainingFrame], size: tuple[int, int]) -> list[FrameData]:
    """Frames at ``size`` (width, height). Raises SourceError for what is gone, changed, damaged or of a wrong id."""
    wanted = [m for f in frames for m in (f.label, f.image, f.instance) if m is not None]
    media, table = read_media(source.store, wanted), remap_table(source.remap, source.space)

    def one(frame: TrainingFrame) -> FrameData:
        raw_HW = _decoded(source.store, frame.label, media, decode_ids)
        label_HW = resize_ids(table[raw_HW], size)
        unknown = set(np.unique(label_HW).tolist()) - source.space.ids
        if unknown:
            name, ids = source.store.url(frame.label.path), sorted(unknown)
            raise SourceError(f"{name}: label ids {ids} are unknown in label space '{source.space.name}'")
        image_HW3 = resize_image(_decoded(source.store, frame.image, media, decode_image), size)
        if frame.instance is None or media[frame.instance] is None:
            return FrameData(label_HW, thing_regions(label_HW, source.space), image_HW3)
        instance_HW = resize_ids(_decoded(source.store, frame.instance, media, decode_ids), size)
        return FrameData(label_HW, instance_HW, image_HW3)

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(one, frames))


def read_images(store: Store, frames: Sequence[TrainingFrame], size: tuple[int, int]) -> list[Rgb]:
    """The frames' images alone. Raises SourceError as `read_frames` does."""
    media = read_media(store, [f.image for f in frames])
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda f: resize_image(_decoded(store, f.image, media, decode_image), size), frames))


def _decoded(store: Store, medium: Medium, media: dict[Medium, bytes | None], decode: Callable[[bytes], T]) -> T:
    try:
        return decode(media[medium] or b"")
    except ValueError as error:
        raise SourceError(f"{store.url(medium.path)}: {error}") from None
