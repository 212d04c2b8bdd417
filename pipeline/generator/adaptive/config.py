"""What decides the networks of a class-adaptive generator: ``config.json`` with ``"architecture": "adaptive"``."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowreel.pipeline.generator.config import TakesSizes
from flowreel.pipeline.generator.image_config import Side, Width

Widths = Annotated[tuple[Width, ...], Field(min_length=3, max_length=8)]


class AdaptiveConfig(TakesSizes, BaseModel):
    """Architecture and input encoding of a class-adaptive generator.

    ``features`` and ``widths`` have a number per scale of size 1/1, 1/2, 1/4, ...: channels of what the labels say
    there, and of the decoder that they modulate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["adaptive"] = "adaptive"
    label_space: str = "cityscapes"
    label_nc: Annotated[int, Field(ge=0, le=256)] = 35  # 0: frames are pictures (pose, face), not label maps
    input_nc: Width = 3  # channels of such a picture; unused with labels
    use_instance: bool = True
    n_frames: Annotated[int, Field(ge=2, le=256)] = 3
    features: Widths = (32, 48, 64, 96, 128, 128)
    widths: Widths = (32, 64, 128, 256, 256, 256)
    style: Annotated[int, Field(ge=1, le=256)] = 16  # numbers that say what a clip looks like
    motion: Annotated[int, Field(ge=2, le=256)] = 32  # channels of the motion network at half the size
    size: tuple[Side, Side] | None = None  # width, height of the training frames: where it looks best
    description: str = ""
    held_out: tuple[str, ...] = ()  # sequences of the training data that it has not seen: what it is measured on
    sources: dict[str, str] = {}  # imported weights: file name -> SHA-256

    # What vid2vid's configs decide, and here is so.
    n_scales: ClassVar[int] = 1  # networks, each with a history of its own
    flow: ClassVar[bool] = True
    single: ClassVar[None] = None  # it makes first frames itself

    @model_validator(mode="after")
    def _one_per_scale(self) -> Self:
        if len(self.features) != len(self.widths):
            raise ValueError(f"features has {len(self.features)} scales, widths {len(self.widths)}; both must be equal")
        return self

    @property
    def frame_channels(self) -> int:
        """Counts the channels of one encoded frame, L."""
        return (self.label_nc or self.input_nc) + int(self.use_instance)

    @property
    def size_multiple(self) -> int:
        """Gives what sides must be multiples of: each scale halves them, and the motion network does four times."""
        return int(max(2 ** (len(self.widths) - 1), 16))

    def width(self, scale: int) -> int:
        """Gives the channels at full size."""
        return self.widths[0]
