"""A training clip: part of a real sequence, after sampling and augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from flowreel.pipeline.generator.conditioning import encode_frames
from flowreel.pipeline.generator.configs import AnyConfig


@dataclass(frozen=True)
class TrainingClip:
    """T real frames with the inputs given for them. One device, one clip; no batch axis."""

    frames: Tensor  # label ids (T, H, W) int64, or pictures (T, L, H, W) where the generator has no labels
    instance_THW: Tensor | None  # int32
    real_T3HW: Tensor  # [-1, 1]
    flow_T2HW: Tensor  # backward reference flow t -> t-1 between the real frames, pixels (x, y); frame 0: zero
    sure_T1HW: Tensor  # confidence of that flow in [0, 1]; frame 0: zero
    starts_empty: bool  # no first frame is given: the history is zero (the original's ``no_first_img``)
    known_T1HW: Tensor | None = None  # bool: what counts in the losses; None: all
    apart: bool = False  # the frames are of different scenes, and each is made from nothing

    def encoded(self, start: int, stop: int, config: AnyConfig) -> Tensor:
        """Encodes frames [start, stop): (T, L, H, W)."""
        instance_THW = None if self.instance_THW is None else self.instance_THW[start:stop]
        return encode_frames(self.frames[start:stop], instance_THW, config)

    def to(self, device: str) -> Self:
        """Moves the clip to a device."""
        return replace(self, **{name: tensor.to(device) for name, tensor in self._tensors().items()})

    @classmethod
    def of_last_frames(cls, clips: Sequence[Self]) -> Self:
        """Joins the last frame of each clip, all of one kind, as frames of different scenes."""
        parts = [clip._tensors() for clip in clips]
        joined = {name: torch.cat([part[name][-1:] for part in parts]) for name in parts[0]}
        return replace(clips[0], **joined, starts_empty=True, apart=True)

    def _tensors(self) -> dict[str, Any]:
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}
