"""A training clip: part of a real sequence, after sampling and augmentation."""

from dataclasses import dataclass

from torch import Tensor

from flowreel.pipeline.generator.conditioning import encode_frames
from flowreel.pipeline.generator.config import GeneratorConfig


@dataclass(frozen=True)
class TrainingClip:
    """T real frames with the inputs given for them. One device, one clip; no batch axis."""

    frames: Tensor  # label ids (T, H, W) int64, or pictures (T, L, H, W) where the generator has no labels
    instance_THW: Tensor | None  # int32
    real_T3HW: Tensor  # [-1, 1]
    flow_T2HW: Tensor  # backward reference flow t -> t-1 between the real frames, pixels (x, y); frame 0: zero
    sure_T1HW: Tensor  # confidence of that flow in [0, 1]; frame 0: zero
    starts_empty: bool  # no first frame is given: the history is zero (the original's ``no_first_img``)

    def encoded(self, start: int, stop: int, config: GeneratorConfig) -> Tensor:
        """Encodes frames [start, stop): (T, L, H, W)."""
        instance_THW = None if self.instance_THW is None else self.instance_THW[start:stop]
        return encode_frames(self.frames[start:stop], instance_THW, config)

    def to(self, device: str) -> "TrainingClip":
        """Moves the clip to a device."""
        return TrainingClip(
            self.frames.to(device),
            None if self.instance_THW is None else self.instance_THW.to(device),
            self.real_T3HW.to(device),
            self.flow_T2HW.to(device),
            self.sure_T1HW.to(device),
            self.starts_empty,
        )
