"""Street scenes out of nothing: label and instance sequences as a camera in a driving car would see them.

A street is laid out once from a seed (`street.py`) as solids and outlines in metres (`bodies.py`, `scenery.py`) and
projected frame by frame (`world.py`), so that all that moves, moves as in one world.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.scenes.street import Street
from pipeline.scenes.world import Label, paint_frame
from schemas.errors import UsageError

__all__ = ["Label", "Scene", "street_scene"]

MIN_SIDE = 32  # pixels


@dataclass(frozen=True)
class Scene:
    """One sequence of T frames of H x W pixels.

    `label_THW`: uint8 Cityscapes label ids (7..33). `instance_THW`: uint16, 0 where there is no instance, else one id
    per vehicle, person, rider or bicycle, the same in all frames.
    """

    label_THW: np.ndarray
    instance_THW: np.ndarray


def street_scene(seed: int, frames: int, size: tuple[int, int]) -> Scene:
    """The street of `seed` (>= 0) over `frames` (>= 1) frames at 17 a second; `size` is (width, height) in pixels.

    The same arguments give the same bytes; the street, its traffic and the drive are drawn from the seed alone.
    """
    _check(seed, frames, size)
    width, height = size
    street = Street(np.random.default_rng(seed), frames)
    codes_THW = np.stack([paint_frame(street, street.camera(frame, width, height)) for frame in range(frames)])
    return Scene((codes_THW & 0xFF).astype(np.uint8), (codes_THW >> 8).astype(np.uint16))


def _check(seed: int, frames: int, size: tuple[int, int]) -> None:
    if seed < 0:
        raise UsageError(f"street scene: seed is {seed}, must be 0 or more")
    if frames < 1:
        raise UsageError(f"street scene: frames is {frames}, must be 1 or more")
    if len(size) != 2 or min(size) < MIN_SIDE:
        raise UsageError(
            f"street scene: size is {tuple(size)}, must be (width, height), each {MIN_SIDE} pixels or more"
        )
