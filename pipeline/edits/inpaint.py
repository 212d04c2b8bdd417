"""Fills the place of an object with the background of nearby frames, else with that next to the hole."""

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.edits.instances import without_instance
from flowreel.pipeline.edits.maps import Ids, Maps, Mask, background, filled, ignored, members
from flowreel.schemas.label_space import LabelSpace

REACH = 5  # frames before and after: beyond, a moving camera sees another place there
ROWS = 3.0  # times as far as columns: streets lie in bands (road, pavement, houses, sky), which run sideways

THIN = 128  # part of the frame's width: a pixel spreads if its class goes on that far to its left and right


def fill(maps: Maps, hole_THW: Mask, space: LabelSpace) -> Maps:
    """Fills the hole in both maps with background: its labels, and its instance ids unless those are of things (whose
    masks reach a little beyond them in real maps).

    A pixel takes what the nearest frame within ``REACH`` shows at its place; where none shows background, what the
    nearest pixel of its own frame shows; and without any, the first ignored class.
    """
    if not hole_THW.any():
        return maps
    donor_THW = members(maps.label_THW, background(space)) & ~hole_THW
    source_THW = _from_other_frames(donor_THW, hole_THW)
    open_THW = hole_THW & (source_THW < 0)
    _from_own_frame(_wide(maps.label_THW, donor_THW), open_THW, source_THW)
    known_THW = source_THW >= 0
    unfilled_THW = hole_THW & ~known_THW
    label_THW, instance_THW = _copied_from(maps.label_THW, source_THW, known_THW), maps.instance_THW
    if instance_THW is not None:
        of_things = np.unique(instance_THW[members(maps.label_THW, space.things)])
        instance_THW = _copied_from(instance_THW, source_THW, known_THW)
        instance_THW = without_instance(instance_THW, known_THW & np.isin(instance_THW, of_things))
    if unfilled_THW.any():
        label_THW = filled(label_THW, unfilled_THW, ignored(space)[0] if ignored(space) else min(background(space)))
        instance_THW = without_instance(instance_THW, unfilled_THW)
    return Maps(label_THW, instance_THW)


def _from_other_frames(donor_THW: Mask, hole_THW: Mask) -> NDArray[np.int64]:
    """Gives for each pixel of the hole the flat index of the pixel, in all frames, that it copies; -1 where there is
    none."""
    frames, height, width = donor_THW.shape
    source_THW = np.full(donor_THW.shape, -1, np.int64)
    place_HW = np.arange(height * width).reshape(height, width)
    for step in (s for distance in range(1, min(REACH, frames - 1) + 1) for s in (-distance, distance)):
        to = slice(max(0, -step), frames - max(0, step))
        at = slice(max(0, step), frames - max(0, -step))
        here_THW = hole_THW[to] & (source_THW[to] < 0) & donor_THW[at]
        number_T11 = (np.arange(frames)[at] * height * width)[:, None, None]
        source_THW[to] = np.where(here_THW, number_T11 + place_HW, source_THW[to])
    return source_THW


def _wide(label_THW: Ids, donor_THW: Mask) -> Mask:
    """Leaves poles and other thin donors out, as they would grow into walls; keeps all in frames that have no
    others."""
    reach = max(1, label_THW.shape[2] // THIN)
    padded_THW = np.pad(label_THW, ((0, 0), (0, 0), (reach, reach)), mode="edge")
    alike_THW = (padded_THW[:, :, : -2 * reach] == label_THW) & (padded_THW[:, :, 2 * reach :] == label_THW)
    wide_THW = donor_THW & alike_THW
    return np.where(wide_THW.any(axis=(1, 2), keepdims=True), wide_THW, donor_THW)


def _from_own_frame(donor_THW: Mask, open_THW: Mask, source_THW: NDArray[np.int64]) -> None:
    """Completes ``source_THW`` in place with the nearest donor of the same frame."""
    from scipy import ndimage  # slow to import, and most specs have no such edit

    frames, height, width = donor_THW.shape
    for t in range(frames):
        if not open_THW[t].any() or not donor_THW[t].any():
            continue
        rows_HW, columns_HW = ndimage.distance_transform_edt(
            ~donor_THW[t], sampling=(ROWS, 1.0), return_distances=False, return_indices=True
        )
        nearest_HW = (t * height + rows_HW) * width + columns_HW
        source_THW[t] = np.where(open_THW[t], nearest_HW, source_THW[t])


def _copied_from(ids_THW: NDArray[np.integer], source_THW: NDArray[np.int64], known_THW: Mask) -> NDArray[np.integer]:
    """Copies ids from their source pixels."""
    result = ids_THW.copy()
    result[known_THW] = ids_THW.ravel()[source_THW[known_THW]]
    return result
