"""Names the encoding that would fit a picture in colours."""

import numpy as np
from numpy.typing import NDArray

from flowreel.schemas.label_space import LabelSpace

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
