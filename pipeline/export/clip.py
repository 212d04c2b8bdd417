"""A published clip for exports: media as they are stored, ids decoded, segments."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_ids
from flowreel.pipeline.edits.instances import in_sight
from flowreel.pipeline.reader.dataset import Dataset
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


@dataclass(frozen=True)
class ExportClip:
    """Clip ``number`` of a dataset."""

    number: int
    rows: pa.Table

    @classmethod
    def of(cls, dataset: Dataset, number: int) -> "ExportClip":
        return cls(number, dataset.rows(number))

    def key(self, name: str) -> Any:
        return self.rows[name][0].as_py()

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
        """Decodes a label or instance map, (H, W); None where it is not published."""
        cell = self.frames[t][column]
        return decode_ids(cell["bytes"]) if cell else None

    def label(self, t: int) -> Ids:
        """Decodes a label map, (H, W). Raises ValueError where it is missing."""
        found = self.ids("label", t)
        if found is None:
            raise ValueError(f"clip {self.key('clip_id')}, frame {t}: no label is published")
        return found


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
