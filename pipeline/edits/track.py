"""Tracks: an object over time, extracted from maps, changed, and pasted into maps where nearer objects hide it.

The row where an object stands tells how near it is: of two objects on one ground, the lower one is nearer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.edits.instances import no_instance
from flowreel.pipeline.edits.maps import Ids, Maps, Mask, filled, ignored, members
from flowreel.schemas.label_space import LabelSpace

SAME = 0.3
OBJECTS = 16  # of a class at most: 8-bit maps have few ids


@dataclass(frozen=True)
class Track:
    """An object in T frames: where it is, and as which class."""

    mask_THW: Mask
    label_THW: Ids

    def ground(self, t: int) -> int:
        """Gives the row where it stands in a frame: its lowest. -1 where it is not in sight."""
        rows = np.flatnonzero(self.mask_THW[t].any(axis=1))
        return int(rows[-1]) if len(rows) else -1


def extract(maps: Maps, instance: int, space: LabelSpace) -> Track:
    """Extracts an instance, without pixels of stuff: masks of real maps reach a little beyond their objects."""
    if maps.instance_THW is None:
        raise ValueError(f"instance {instance} cannot be extracted: there are no instance maps")
    mask_THW = (maps.instance_THW == instance) & members(maps.label_THW, space.things)
    return Track(mask_THW, maps.label_THW)


def follow(maps: Maps, instance: int, space: LabelSpace) -> Track:
    """Extracts the object that has the id where the id is first seen, and follows it.

    If the id is at another place in the next frame, another id may be at this one: some sources number their objects
    anew in each frame.
    """
    whole = extract(maps, instance, space)
    assert maps.instance_THW is not None
    thing_THW = members(maps.label_THW, space.things) & (maps.instance_THW != no_instance(maps.instance_THW))
    mask_THW = np.zeros_like(whole.mask_THW)
    last_HW = None
    for t in np.flatnonzero(thing_THW.any(axis=(1, 2))).tolist():
        found_HW = whole.mask_THW[t]
        if last_HW is not None and not (found_HW & last_HW).any():
            found_HW = _at_place(maps.instance_THW[t], thing_THW[t], last_HW)
        if found_HW.any():
            mask_THW[t] = last_HW = found_HW
    return Track(mask_THW, maps.label_THW)


def _at_place(instance_HW: Ids, thing_HW: Mask, place_HW: Mask) -> Mask:
    """Gives the object that covers a place best; nothing where none does by `SAME` (intersection over union)."""
    ids, common = np.unique(instance_HW[thing_HW & place_HW], return_counts=True)
    masks = [thing_HW & (instance_HW == number) for number in ids.tolist()]
    covers = [n / int((mask | place_HW).sum()) for n, mask in zip(common.tolist(), masks, strict=True)]
    best = int(np.argmax(covers)) if covers else -1
    return masks[best] if best >= 0 and covers[best] >= SAME else np.zeros_like(place_HW)


def extract_class(maps: Maps, label: int) -> list[Track]:
    """Extracts the largest objects of a class: its instances, and regions connected over space and time where it has
    none."""
    from scipy import ndimage  # slow to import, and most specs have no such edit

    of_class_THW = maps.label_THW == label
    if maps.instance_THW is None:
        object_THW, _ = ndimage.label(of_class_THW)
    else:
        known_THW = of_class_THW & (maps.instance_THW != no_instance(maps.instance_THW))
        object_THW, count = ndimage.label(of_class_THW & ~known_THW)
        object_THW = np.where(known_THW, count + 1 + maps.instance_THW.astype(np.int64), object_THW)
    sizes = np.bincount(object_THW.ravel())
    sizes[0] = 0
    largest = np.argsort(-sizes, kind="stable")[:OBJECTS]
    return [Track(object_THW == number, maps.label_THW) for number in largest.tolist() if sizes[number]]


def moved(track: Track, by: tuple[float, float]) -> Track:
    """Moves a track. ``by``: right and down, in shares of the frame, rounded to whole pixels. What leaves the frame
    is gone."""
    height, width = track.mask_THW.shape[1:]
    right, down = round(by[0] * width), round(by[1] * height)
    row_H, column_W = np.arange(height) - down, np.arange(width) - right
    return _sampled(track, range(len(track.mask_THW)), row_H, column_W)


def scaled(track: Track, factor: float) -> Track:
    """Scales a track about the middle of its lowest edge, frame by frame: it stands where it stood."""
    height, width = track.mask_THW.shape[1:]
    parts = []
    for t, mask_HW in enumerate(track.mask_THW):
        ground, columns = track.ground(t) + 1.0, np.flatnonzero(mask_HW.any(axis=0))
        middle = (columns[0] + columns[-1] + 1) / 2 if len(columns) else 0.0
        row_H = np.floor((np.arange(height) + 0.5 - ground) / factor + ground).astype(np.int64)
        column_W = np.floor((np.arange(width) + 0.5 - middle) / factor + middle).astype(np.int64)
        parts.append(_sampled(track, range(t, t + 1), row_H, column_W))
    return Track(np.concatenate([p.mask_THW for p in parts]), np.concatenate([p.label_THW for p in parts]))


def paste(maps: Maps, track: Track, instance: int, space: LabelSpace) -> Maps:
    """Pastes the object as ``instance`` in front of all but nearer objects and unlabelled pixels (the car's own
    hood)."""
    if maps.instance_THW is None:
        raise ValueError("an object cannot be pasted into maps without instances, which say what is nearer")
    none = no_instance(maps.instance_THW)
    visible_THW = track.mask_THW & ~members(maps.label_THW, frozenset(ignored(space)))
    for t in np.flatnonzero(visible_THW.any(axis=(1, 2))).tolist():
        thing_HW = members(maps.label_THW[t], space.things) & (maps.instance_THW[t] != none)
        visible_THW[t] &= ~_nearer(maps.instance_THW[t], thing_HW, track.ground(t))
    label_THW = np.where(visible_THW, track.label_THW.astype(maps.label_THW.dtype), maps.label_THW)
    return Maps(label_THW, filled(maps.instance_THW, visible_THW, instance))


def free_id(instance_THW: Ids, label: int) -> int:
    """Gives an id that no pixel has: as Cityscapes counts, from the class's last one down; in 8 bits from 254 down."""
    taken = set(np.unique(instance_THW).tolist())
    most = 254 if instance_THW.dtype == np.uint8 else min(label * 1000 + 999, 65535)
    found = next((i for i in range(most, 0, -1) if i not in taken), None)
    if found is None:
        raise ValueError(f"no instance id is free: the clip's instance maps hold all of 1..{most}")
    return found


def _nearer(instance_HW: Ids, thing_HW: Mask, ground: int) -> Mask:
    """Tells which pixels belong to objects that stand below a row."""
    lowest_K = np.full(int(instance_HW.max()) + 1, -1)
    rows, _ = np.nonzero(thing_HW)
    np.maximum.at(lowest_K, instance_HW[thing_HW], rows)
    return thing_HW & (lowest_K[instance_HW] > ground)


def _sampled(track: Track, frames: range, row_H: NDArray[np.int64], column_W: NDArray[np.int64]) -> Track:
    """Samples frames of a track at the row and column that each pixel shows; those outside the frame show nothing."""
    part = slice(frames.start, frames.stop)
    height, width = track.mask_THW.shape[1:]
    inside_HW = ((row_H >= 0) & (row_H < height))[:, None] & ((column_W >= 0) & (column_W < width))
    rows_H1, columns_W = row_H.clip(0, height - 1)[:, None], column_W.clip(0, width - 1)
    return Track(track.mask_THW[part][:, rows_H1, columns_W] & inside_HW, track.label_THW[part][:, rows_H1, columns_W])
