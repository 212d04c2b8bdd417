"""A published clip for exports: media as they are stored, ids decoded, segments."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.codec import ENDING, decode_ids, decode_image, kind_of
from flowreel.pipeline.edits.instances import in_sight
from flowreel.pipeline.reader.dataset import Dataset
from flowreel.schemas.errors import DamagedMedia, IntegrityError, UsageError
from flowreel.schemas.label_space import LabelSpace

Ids = NDArray[np.integer]
Box = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclass(frozen=True)
class Segment:
    """The pixels of one instance of a thing class, or of the rest of a class, in one frame."""

    class_id: int
    instance: int | None  # id in the instance map
    area: int  # pixels
    box: Box


KEYS = ["clip_id", "sequence_id", "variant", "split"]  # of a clip, as the manifest has them


@dataclass(frozen=True)
class ClipSource:
    """The clips of a dataset that is exported, and what its manifest says of each."""

    dataset: Dataset
    heads: pa.Table  # a row per clip: KEYS

    @classmethod
    def of(cls, dataset: Dataset) -> "ClipSource":
        """Reads the manifest. Nothing of ``dataset`` is handed on before its hash is checked."""
        return cls(dataset.verified(), dataset.heads(KEYS))

    def clip(self, number: int) -> "ExportClip":
        """Reads a clip. Raises IntegrityError for a data file that is not the published one, or holds another clip."""
        index = self.dataset.index
        (keys,) = self.heads.slice(number, 1).to_pylist()
        row_F = index.row_F[index.edge_C[number] : index.edge_C[number + 1]].tolist()
        found = ExportClip(number, keys, self.dataset.rows(number))
        for t, (frame, row) in enumerate(zip(found.frames, row_F, strict=True)):
            unlike = [name for name in KEYS if frame[name] != keys[name]]
            if unlike or frame["frame_index"] != row:
                what = unlike[0] if unlike else "frame_index"
                place = self.dataset.version.dataset.url(index.shards[index.shard_C[number]])
                raise IntegrityError(
                    f"{place}: column {what} of clip {keys['clip_id']}, frame {t}: {frame[what]!r}, which is not what"
                    " the manifest says; `flowreel verify` lists all damage"
                )
        return found


@dataclass(frozen=True)
class ExportClip:
    """Clip ``number`` of a dataset."""

    number: int
    keys: dict[str, Any]  # KEYS, as the manifest says
    rows: pa.Table

    def key(self, name: str) -> Any:
        return self.keys[name]

    @property
    def split(self) -> str:
        """Gives the split for file names. Raises UsageError if it is none."""
        return folder_name(self.key("split"))

    @cached_property
    def frames(self) -> list[dict[str, Any]]:
        """Gives the rows of the data file."""
        found: list[dict[str, Any]] = self.rows.to_pylist()
        return found

    @property
    def slug(self) -> str:
        """Gives the sequence's id for file names: letters, digits and '-'."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self.key("sequence_id")).strip("-") or "sequence"

    def ids(self, column: str, t: int) -> Ids | None:
        """Decodes a label or instance map, (H, W); None where it is not published. Raises DamagedMedia."""
        cell = self.frames[t][column]
        try:
            found = decode_ids(cell["bytes"]) if cell else None
            same = decode_ids(self.frames[0]["label"]["bytes"]).shape if t or column != "label" else None
        except ValueError as error:
            raise DamagedMedia(f"{self.where(t)}: {column}: {error}") from None
        if found is not None and same and found.shape != same:
            raise DamagedMedia(f"{self.where(t)}: {column} is {found.shape}, the clip's labels are {same}")
        return found

    def label(self, t: int) -> Ids:
        """Decodes a label map, (H, W). Raises DamagedMedia where it is missing."""
        found = self.ids("label", t)
        if found is None:
            raise DamagedMedia(f"{self.where(t)}: no label is published")
        return found

    def image(self, t: int) -> NDArray[np.uint8]:
        """Decodes an image, (H, W, 3). Raises DamagedMedia if it is none, or not as large as its label."""
        try:
            found = decode_image(self.frames[t]["image"]["bytes"])
        except ValueError as error:
            raise DamagedMedia(f"{self.where(t)}: image: {error}") from None
        if found.shape[:2] != (size := self.label(t).shape):
            raise DamagedMedia(f"{self.where(t)}: image is {found.shape[:2]}, its label {size}")
        return found

    def ending(self, t: int, column: str = "image") -> str:
        """Gives the ending for a medium's file by what its bytes are. Raises DamagedMedia for what is published
        nowhere."""
        try:
            found = kind_of(self.frames[t][column]["bytes"])
        except ValueError as error:
            raise DamagedMedia(f"{self.where(t)}: {column}: {error}") from None
        if column != "image" and found != ENDING["png"]:
            raise DamagedMedia(f"{self.where(t)}: {column} is a {found} file, must be {ENDING['png']}")
        return found

    def where(self, t: int) -> str:
        """Names a frame for messages."""
        return f"clip {self.key('clip_id')}, frame {t}"


def folder_name(split: str) -> str:
    """Gives a split as a part of file names. Raises UsageError for one that is none, or leads elsewhere."""
    if not re.fullmatch(r"\w[\w.+ -]{0,99}", split):
        raise UsageError(
            f"split {split!r} cannot name a file: it must be letters, digits, '.', '_', '+' and '-'; rename it in the"
            " spec's `split` and publish again"
        )
    return split


def instances_in_sight(label_HW: Ids, instance_HW: Ids | None, space: LabelSpace) -> NDArray[np.int64]:
    """Gives instance ids where a thing class has one, -1 elsewhere; (H, W)."""
    if instance_HW is None:
        return np.full(label_HW.shape, -1, np.int64)
    return np.where(in_sight(label_HW, instance_HW, space), instance_HW.astype(np.int64), -1)


def segments(label_HW: Ids, instance_HW: Ids | None, space: LabelSpace) -> tuple[NDArray[np.int32], list[Segment]]:
    """Splits a frame into segments: the number of each pixel's segment from 1, (H, W), and the segments.

    Every pixel is in one.
    """
    instance = instances_in_sight(label_HW, instance_HW, space)
    pairs, number = np.unique(label_HW.astype(np.int64) * 2**20 + instance + 1, return_inverse=True)
    number_HW = (number.reshape(label_HW.shape) + 1).astype(np.int32)
    areas = np.bincount(number_HW.ravel())[1:]
    found = []
    for pair, area, box in zip(pairs.tolist(), areas.tolist(), boxes(number_HW, len(pairs)), strict=True):
        inside = pair % 2**20 - 1
        found.append(Segment(pair // 2**20, None if inside < 0 else inside, area, box))
    return number_HW, found


def boxes(number_HW: NDArray[np.int32], count: int) -> list[Box]:
    """Gives the boxes around segments 1..``count``, each of which has a pixel in ``number_HW``."""
    height, width = number_HW.shape
    turn_HW = np.ones(number_HW.shape, bool)  # where a run of one number begins in its row: far fewer than pixels
    turn_HW[:, 1:] = number_HW[:, 1:] != number_HW[:, :-1]
    first_R = np.flatnonzero(turn_HW)
    last_R = np.append(first_R[1:], number_HW.size) - 1
    segment_R, row_R = number_HW.ravel()[first_R] - 1, first_R // width
    left_N, top_N = np.full(count, width), np.full(count, height)
    right_N, bottom_N = np.zeros(count, int), np.zeros(count, int)
    np.minimum.at(left_N, segment_R, first_R % width)
    np.maximum.at(right_N, segment_R, last_R % width)
    np.minimum.at(top_N, segment_R, row_R)
    np.maximum.at(bottom_N, segment_R, row_R)
    edges = (left_N, top_N, right_N - left_N + 1, bottom_N - top_N + 1)
    return list(zip(*(edge_N.tolist() for edge_N in edges), strict=True))
