"""Procedural street scenes: label and instance sequences as a camera in a driving car would see them.

A street is laid out once from a seed (`street.py`) as solids and outlines in metres (`bodies.py`, `scenery.py`) and
projected frame by frame (`world.py`), so everything moves consistently in one world.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.sources.scenes.geometry import geometry
from flowreel.pipeline.sources.scenes.street import Street
from flowreel.pipeline.sources.scenes.world import Label, paint_frame
from flowreel.schemas.errors import UsageError
from flowreel.schemas.source_kinds import ProceduralSpec

__all__ = ["SCENE_FORMAT", "Drive", "Label", "Scene", "Truth", "street_scene"]

SCENE_FORMAT = 1  # raise when the same parameters draw another street
MIN_SIDE = 32  # pixels


@dataclass(frozen=True)
class Scene:
    """One sequence of T frames of H x W pixels.

    `label_THW`: uint8 Cityscapes label ids (7..33). `instance_THW`: uint16, 0 where there is no instance, else one id
    per vehicle, person, rider or bicycle, the same in all frames.
    """

    label_THW: NDArray[np.uint8]
    instance_THW: NDArray[np.uint16]


@dataclass(frozen=True)
class Truth:
    """Ground truth of a scene's frames beyond labels.

    `depth_THW`: uint16, centimetres along the camera's axis, 0 for the sky. `flow_THW2`: backward flow t -> t-1 in
    pixels (x, y); `sure_THW`: where it is known: not for people and riders whose limbs move, not in the first frame of
    a sequence.
    """

    depth_THW: NDArray[np.uint16]
    flow_THW2: NDArray[np.float32]
    sure_THW: NDArray[np.bool_]


class Drive:
    """A street and the drive through it; frames are painted as they are asked for."""

    def __init__(self, rng: np.random.Generator, like: ProceduralSpec, size: tuple[int, int]) -> None:
        """Lays out the street. `size`: (width, height) in pixels. Raises UsageError if it is too small."""
        if len(size) != 2 or min(size) < MIN_SIDE:
            raise UsageError(
                f"street scene: size is {tuple(size)}, must be (width, height), each {MIN_SIDE} pixels or more"
            )
        self.size, self.street = size, Street(rng, like)

    @classmethod
    def of(cls, like: ProceduralSpec, index: int, size: tuple[int, int]) -> "Drive":
        """Makes sequence `index` (>= 0) of a spec: it follows from the parameters, the seed and the index alone."""
        return cls(np.random.default_rng((like.seed, index)), like, size)

    def scene(self, start: int, stop: int) -> Scene:
        """Paints frames [start, stop)."""
        codes_THW = np.stack([paint_frame(self.street, self.street.camera(t, *self.size)) for t in range(start, stop)])
        return Scene((codes_THW & 0xFF).astype(np.uint8), (codes_THW >> 8).astype(np.uint16))

    def truth(self, start: int, stop: int) -> Truth:
        """Computes depth and flow of frames [start, stop)."""
        cameras = [self.street.camera(t, *self.size) for t in range(start - 1, stop)]
        found = [geometry(self.street, now, before) for before, now in pairwise(cameras)]
        depth_THW, flow_THW2, sure_THW = (np.stack(part) for part in zip(*found, strict=True))
        if start == 0:
            flow_THW2[0], sure_THW[0] = 0, False
        return Truth(depth_THW, flow_THW2, sure_THW)


def street_scene(seed: int, frames: int, size: tuple[int, int]) -> Scene:
    """Paints the usual street of `seed` (>= 0) over `frames` (>= 1) frames at 17 a second; `size` is (width, height).

    The same arguments give the same bytes; the street, its traffic and the drive are sampled from the seed alone.
    """
    if seed < 0:
        raise UsageError(f"street scene: seed is {seed}, must be 0 or more")
    if frames < 1:
        raise UsageError(f"street scene: frames is {frames}, must be 1 or more")
    return Drive(np.random.default_rng(seed), ProceduralSpec(frames=frames), size).scene(0, frames)
