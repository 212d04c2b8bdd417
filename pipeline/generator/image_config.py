"""The architecture of a single-image generator, which makes first frames for a video generator, or works alone
(pix2pixHD)."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Width = Annotated[int, Field(ge=1, le=8192)]  # channels
Side = Annotated[int, Field(ge=1, le=16_384)]  # pixels
Halvings = Annotated[int, Field(ge=1, le=10)]  # stride-2 steps: each also doubles the channels
Few = Annotated[int, Field(ge=1, le=256)]  # parts of a network: a damaged number must not build forever
Rows = Annotated[int, Field(ge=0, le=10**7)]  # of a table of features


class EncoderConfig(BaseModel):
    """A feature encoder, which turns a real image into one vector per region (pix2pixHD, section 3.4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ngf: Width = 16
    n_downsample: Halvings = 4
    output_nc: Width = 3


class ImageGeneratorConfig(BaseModel):
    """Architecture of a global or local single-image generator (pix2pixHD, section 3.2)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["global", "local", "global_with_features", "local_with_features"] = "global"
    input_nc: Width = 35  # channels of its input, without features
    ngf: Width = 64
    n_downsample: Halvings = 4
    n_blocks: Few = 9
    n_blocks_local: Few = 3
    n_local_enhancers: Halvings = 1
    feat_num: Annotated[int, Field(ge=0, le=8192)] = (
        0  # channels of the feature map; 0: none. Plain kinds append it to the input
    )
    width_limit: Width | None = 1024  # vid2vid's copies cap the width; pix2pixHD's own do not
    encoder: EncoderConfig | None = None
    # Vectors known per part label 0, 1, ...: the feature table that is looked up.
    feature_rows: Annotated[tuple[Rows, ...], Field(max_length=256)] = ()

    @model_validator(mode="after")
    def _features(self) -> Self:
        if self.joins_features and not self.feat_num:
            raise ValueError(f"kind {self.kind} needs feat_num, the channels of its feature map")
        if self.encoder and self.encoder.output_nc != self.feat_num:
            raise ValueError(f"the encoder makes {self.encoder.output_nc} channels, but feat_num is {self.feat_num}")
        if self.feature_rows and not self.encoder:
            raise ValueError("feature_rows name tables of encoded features, but there is no encoder")
        if short := [label for label, rows in enumerate(self.feature_rows) if rows < self.feature_rows[-1]]:
            raise ValueError(
                f"feature_rows {list(self.feature_rows)}: labels {short} have fewer rows than the last label; the last"
                " one's number is how many images can be looked up, and every table must know them all"
            )
        return self

    @property
    def joins_features(self) -> bool:
        """Tells whether features enter at the bottleneck and before the last convolution, not only with the input."""
        return self.kind.endswith("_with_features")

    @property
    def enhancers(self) -> int:
        """Counts the networks around the global one, each doubling the size: none for the global kinds."""
        return self.n_local_enhancers if self.kind.startswith("local") else 0

    @property
    def size_multiple(self) -> int:
        """Gives the number whose multiples width and height must be, so that every stride-2 step halves exactly."""
        deepest = max(self.enhancers + self.n_downsample, self.encoder.n_downsample if self.encoder else 0)
        return int(2**deepest)


class ImageCheckpointConfig(BaseModel):
    """``config.json`` of a generator that works alone: pictures, no video. Can give a video generator its first frames.

    Its weights' keys are those of ``single`` in a video generator: ``S.*``, ``E.*``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["pix2pixHD"]
    label_space: str
    label_nc: Annotated[int, Field(ge=0, le=256)]  # 0: its input are pictures
    use_instance: bool  # the last channel of its input, without features, are instance edges
    single: ImageGeneratorConfig
    size: tuple[Side, Side] | None = None  # width, height at which it renders best
    description: str = ""
    sources: dict[str, str] = {}  # imported weights: file name -> SHA-256
