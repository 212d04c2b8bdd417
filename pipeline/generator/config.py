"""The architecture of a vid2vid generator: the part of a checkpoint's ``config.json`` that decides the networks."""

from abc import ABC, abstractmethod
from math import ceil, floor
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowreel.pipeline.generator.image_config import Few, Halvings, ImageGeneratorConfig, Side, Width


class TakesSizes(ABC):
    """Checks sizes of frames against ``size_multiple``."""

    @property
    @abstractmethod
    def size_multiple(self) -> int:
        """Gives what width and height must be multiples of."""

    def check_size(self, width: int, height: int, least: int = 0) -> None:
        """Raises ValueError that names the nearest sizes if the networks cannot take this one.

        ``least``: a further bound of the caller. Reflection padding needs at least 4 pixels at each scale's own size
        and 2 at the bottleneck.
        """
        multiple = self.size_multiple
        least = max(2 * multiple, -(-least // multiple) * multiple)
        if all(side % multiple == 0 and side >= least for side in (width, height)):
            return
        below, above = (
            [max(least, round_to(side / multiple) * multiple) for side in (width, height)] for round_to in (floor, ceil)
        )
        nearest = f"{below[0]}x{below[1]}" + (f" and {above[0]}x{above[1]}" if above != below else "")
        raise ValueError(
            f"size {width}x{height} (width x height) does not fit the networks: both must be multiples of {multiple},"
            f" at least {least}; the nearest are {nearest}"
        )


class GeneratorConfig(TakesSizes, BaseModel):
    """Architecture and input encoding of a composite coarse-to-fine generator (vid2vid, section 3).

    Symbols used in this package: T = ``n_frames`` seen at once, S = ``n_scales``, L = channels of one encoded frame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["vid2vid"] = "vid2vid"
    label_space: str = "cityscapes"
    label_nc: Annotated[int, Field(ge=0, le=256)] = 35  # 0: frames are pictures (pose, face, plain), not label maps
    input_nc: Width = 3  # channels of such a picture; unused with labels
    use_instance: bool = True
    fg_labels: Annotated[tuple[int, ...], Field(max_length=256)] = (26,)  # empty: no foreground branch
    ngf: Width = 128
    n_downsample: Halvings = 3
    n_blocks: Few = 9
    n_blocks_local: Few = 3
    n_frames: Annotated[int, Field(ge=2, le=256)] = 3
    n_scales: Halvings = 1
    flow: bool = True
    single: ImageGeneratorConfig | None = None  # makes the first frames; None: they are given, or there are none
    size: tuple[Side, Side] | None = None  # width, height of the training frames: where it renders best
    description: str = ""
    held_out: tuple[str, ...] = ()  # sequences of the training data that it was not trained on, for measuring it
    sources: dict[str, str] = {}  # imported weights: file name -> SHA-256

    @model_validator(mode="after")
    def _widths_and_labels(self) -> Self:
        if self.ngf % 2 ** (self.n_scales - 1):
            raise ValueError(
                f"ngf {self.ngf} must be divisible by {2 ** (self.n_scales - 1)} for {self.n_scales} scales"
            )
        channels = self.label_nc or self.input_nc
        bad = [label for label in self.fg_labels if not 0 <= label < channels]
        if bad:
            raise ValueError(f"fg_labels {bad} outside the label channels 0..{channels - 1}")
        if self.single and self.single.input_nc not in (channels, self.frame_channels):
            raise ValueError(
                f"single.input_nc is {self.single.input_nc}, but a frame has {channels} channels"
                + (" and an edge channel" if self.use_instance else "")
            )
        return self

    @property
    def frame_channels(self) -> int:
        """Gives L, the channels of one encoded frame."""
        return (self.label_nc or self.input_nc) + int(self.use_instance)

    @property
    def size_multiple(self) -> int:
        """Gives the number whose multiples width and height must be, so that every stride-2 step halves exactly."""
        own = int(2 ** (self.n_scales - 1 + self.n_downsample))
        return max(own, self.single.size_multiple) if self.single else own

    def width(self, scale: int) -> int:
        """Gives the base width n of a scale (0 = coarsest)."""
        return self.ngf // 2**scale

    def foreground_width(self, scale: int) -> int:
        """Gives the base width q of a scale's foreground branch: halved where the coarsest generator has more than
        two downs."""
        n = self.width(scale)
        return n // 2 if self.n_downsample > 2 else n
