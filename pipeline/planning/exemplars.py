"""Fingerprints exemplar images, and checks that they are pictures that suit what is rendered."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_image
from flowreel.pipeline.pointers import check_no_pointer
from flowreel.pipeline.storage import open_file
from flowreel.schemas.clip import Exemplar
from flowreel.schemas.errors import SourceError, StorageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.spec import Spec

STRETCH = 2.0  # of its shape at most; beyond, the style is that of a distorted place
ENLARGED = 4.0  # at most; beyond, the style is blurred


def exemplar(uri: str, spec: Spec, space: LabelSpace, size: tuple[int, int]) -> Exemplar:
    """Reads and checks an exemplar. ``size``: width, height of rendered frames.

    Raises SourceError for what is no picture, is a label map, has another shape or is much smaller.
    """
    store, name = open_file(uri, spec.storage_options)
    try:
        data = store.read(name)
        check_no_pointer(data)
        _check(decode_image(data), space, size)
    except (StorageError, ValueError) as error:
        raise SourceError(f"variants: style '{uri}': {error}\n  give `generate`, or the uri of an image") from None
    return Exemplar(uri, hashlib.sha256(data).hexdigest())


def _check(image_HW3: NDArray[np.uint8], space: LabelSpace, size: tuple[int, int]) -> None:
    """Raises ValueError for a picture that does not suit."""
    height, width = image_HW3.shape[:2]
    across, down = size[0] / width, size[1] / height
    if max(across, down) > ENLARGED:
        raise ValueError(f"{width}x{height} is too small for frames of {size[0]}x{size[1]}; give a larger picture")
    if max(across / down, down / across) > STRETCH:
        raise ValueError(f"{width}x{height} has another shape than frames of {size[0]}x{size[1]}; crop it to theirs")
    colors = {tuple(color) for color in np.unique(image_HW3.reshape(-1, 3), axis=0)[: len(space.classes) + 1].tolist()}
    if len(colors) > 1 and (colors <= {c.color for c in space.classes} or colors <= {(i, i, i) for i in space.ids}):
        raise ValueError(f"it holds nothing but ids or colours of label space '{space.name}': a label map, no picture")
