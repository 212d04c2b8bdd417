"""Says what ids and colours that do not fit probably are, and how to read them."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from flowreel.schemas.label_space import LabelSpace

# Cityscapes' label ids of the train ids 0 to 18, as in cityscapesScripts; 255 is what is not trained on.
TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_UNTRAINED = 255
_IGNORED = 0.3  # of the pixels: more than label ids of streets show of ignored classes
_MOST = 0.02  # of the colours: as many may be strange to a palette that still is meant


def fitting(rgba_K4: NDArray[np.integer], space: LabelSpace | None) -> str:
    """Says which `source.encoding` reads a picture of these K distinct colours."""
    rgb_K3 = rgba_K4[:, :3].astype(np.int64)
    palette = {one.color for one in space.classes} if space else set()
    strange = sum(tuple(rgb) not in palette for rgb in rgb_K3.tolist())
    if space and strange <= _MOST * len(rgb_K3):
        return f"these are the colours of label space '{space.name}': set source.encoding: colours"
    red, rest = rgb_K3[:, 0], rgb_K3[:, 1:]
    known = bool(space and set(red.tolist()) <= space.ids)
    if not rest.any():
        return "only its red channel is used, as in CARLA's and AirSim's: set source.encoding: {channel: red}"
    if known:
        return (
            "its red channel holds known ids and the others tell objects apart, as in KITTI-STEP: set source.encoding:"
            " kitti-step, or {channel: red} for the classes alone"
        )
    return (
        "set source.encoding: {colours: FILE} with a CSV of its colours (name,r,g,b), {coco-panoptic: FILE} for"
        " COCO's panoptic PNGs, or point the template at the id maps"
    )


def likely_encodings(ids: Iterable[int], space: LabelSpace) -> list[str]:
    """Names the encoding that would make sense of ids that a label space does not have."""
    found = set(ids)
    unknown = found - space.ids
    if unknown and all(value // 1000 in space.things for value in unknown):
        return ["ids such as these are class x 1000 + instance: set source.encoding: cityscapes-instance"]
    if unknown and min(found) >= 256 and all(value // 256 in space.ids for value in found):
        return ["ids such as these are class x 256 + instance: set source.encoding: mapillary"]
    return []


def train_ids(pixels: Mapping[int, int], space: LabelSpace) -> str:
    """Says that ids look like Cityscapes' train ids (0 to 18, 255), and how to map them; "" if they do not.

    Train ids are valid label ids too, but of classes that streets hardly show: road is 0, `unlabeled`.
    """
    if space.name != "cityscapes" or not pixels or not set(pixels) <= {*range(len(TRAIN_IDS)), _UNTRAINED}:
        return ""
    ignored = sum(n for i, n in pixels.items() if i in space.ids and space.by_id[i].ignore)
    if _UNTRAINED not in pixels and ignored <= _IGNORED * sum(pixels.values()):
        return ""
    remap = ", ".join(f"{i}: {label}" for i, label in enumerate(TRAIN_IDS))
    return (
        f"ids {min(pixels)} to {max(pixels)} look like Cityscapes' train ids, of which 0 is road and here would be"
        f" 'unlabeled'; if so, set source.remap: {{{remap}, {_UNTRAINED}: 0}}, else remap: {{others: keep}}"
    )
