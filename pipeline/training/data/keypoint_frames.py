"""Training frames of poses and faces: the crop of each frame, and frames as networks take them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from flowreel.pipeline.edits import thing_regions
from flowreel.pipeline.sources.keypoints.clip_crops import crops_of
from flowreel.pipeline.sources.keypoints.crop import Crop, Size
from flowreel.pipeline.sources.keypoints.frames import Given, conditioning, decode_frame, instance_map, label_map
from flowreel.pipeline.sources.verified_read import read_unchanged
from flowreel.pipeline.storage import Store
from flowreel.pipeline.training.data.frame_data import FrameData
from flowreel.pipeline.training.data.read_media import READERS
from flowreel.schemas.errors import SourceError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.sequence import Frame
from flowreel.schemas.source import SourceSpec


def sequence_crops(store: Store, source: SourceSpec, frames: Sequence[Frame], size: Size) -> list[Crop]:
    """Chooses the crops of a sequence's frames from the whole sequence, so that a frame is the same in all clips.

    Raises SourceError for files that are gone, changed or damaged.
    """
    follows = source.pose is not None and source.pose.crop == "body"
    wanted = frames if follows else frames[:1]
    with ThreadPoolExecutor(READERS) as pool:
        files = list(pool.map(lambda f: _read(store, f), wanted))
    try:
        crops = crops_of(source, [decode_frame(source, given) for given in files], size)
    except ValueError as error:
        raise SourceError(f"{store.url(frames[0].label.path)}: {error}") from None
    return crops if follows else crops * len(frames)


def point_frame(source: SourceSpec, space: LabelSpace, given: Given, crop: Crop) -> FrameData:
    """Draws a frame, without its image. Raises ValueError for what is wrong with a file."""
    frame = decode_frame(source, given)
    label_HW, instance_HW = label_map(frame, crop), instance_map(frame, crop)
    regions_HW = thing_regions(label_HW, space) if instance_HW is None else instance_HW
    nothing_HW3 = np.zeros((0, 0, 3), np.uint8)
    return FrameData(label_HW, regions_HW, nothing_HW3, conditioning(source, frame, crop))


def _read(store: Store, frame: Frame) -> Given:
    guide, mask = (read_unchanged(store, file) if file else None for file in (frame.guide, frame.instance))
    return Given(read_unchanged(store, frame.label), guide, mask)
