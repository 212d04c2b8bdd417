"""Procedural streets as a source: sequences that no file holds.

Each is a function of the spec's parameters, its seed and its index, and is painted by the worker that renders it, at
the size it is rendered at.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.sources.catalog import Catalog
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.sources.scenes import SCENE_FORMAT, Drive, Truth
from flowreel.schemas.errors import SourceError
from flowreel.schemas.sequence import Frame, Sequences
from flowreel.schemas.source import FRAMES
from flowreel.schemas.source_kinds import ProceduralSpec

_PREFIX = "street-"
Size = tuple[int, int]  # width, height


def procedural_catalog(like: ProceduralSpec, size: Size) -> Catalog:
    """Lists all sequences of a spec. Nothing is painted: their fingerprints follow from the parameters."""
    count = like.sequences
    prints = [fingerprint(like, index) for index in range(count)]
    digest_N32 = np.repeat(np.frombuffer(b"".join(prints), np.uint8).reshape(count, -1), like.frames, axis=0)
    names = pa.array([f"{t:06d}" for t in range(like.frames)], pa.large_string())
    sequences = Sequences(
        labels=FRAMES,
        instances=FRAMES,
        ids=pa.array([f"{_PREFIX}{index:06d}" for index in range(count)], pa.string()),
        size_S2=np.tile(np.array(size, np.int32), (count, 1)),
        first_S1=np.arange(count + 1, dtype=np.int64) * like.frames,
        names=names.take(pa.array(np.tile(np.arange(like.frames), count))),
        label_N32=digest_N32,
        instance_N32=digest_N32,
    )
    return Catalog(sequences, (), INDEX.empty_table(), 0, {})


def fingerprint(like: ProceduralSpec, index: int) -> bytes:
    """Hashes everything that decides a sequence; how many others there are does not."""
    parts = [SCENE_FORMAT, index, like.model_dump(mode="json", exclude={"sequences"})]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()


def draw_maps(
    like: ProceduralSpec, frames: Sequence[Frame], size: Size
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Paints label and instance maps (T, H, W) of frames of one sequence.

    Raises SourceError if this release paints them differently from the one that planned them.
    """
    drive, numbers = _drive_of(like, frames, size), [int(frame.name) for frame in frames]
    scenes = [drive.scene(t, t + 1) for t in numbers]
    return np.concatenate([s.label_THW for s in scenes]), np.concatenate([s.instance_THW for s in scenes])


def draw_truth(like: ProceduralSpec, frames: Sequence[Frame], size: Size) -> Truth:
    """Computes depth and flow of consecutive frames of one sequence. Raises SourceError as `draw_maps` does."""
    return _drive_of(like, frames, size).truth(int(frames[0].name), int(frames[-1].name) + 1)


def _drive_of(like: ProceduralSpec, frames: Sequence[Frame], size: Size) -> Drive:
    """Finds the drive of a sequence. Raises SourceError if its fingerprint differs from the planned one."""
    file = frames[0].label
    index = int(file.path.partition("/")[0].removeprefix(_PREFIX))
    if fingerprint(like, index).hex() != file.digest:
        raise SourceError(
            f"{file.path}: this release of Flowreel paints it differently; use the release that planned it"
        )
    return _drive(like, index, size)


@lru_cache(maxsize=8)  # clips of one sequence follow each other
def _drive(like: ProceduralSpec, index: int, size: Size) -> Drive:
    return Drive.of(like, index, size)
