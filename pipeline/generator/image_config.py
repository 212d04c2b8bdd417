"""What decides a single-image generator: it makes first frames for a video generator (vid2vid), or works alone (pix2pixHD)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]


class EncoderConfig(BaseModel):
    """Feature encoder: a real image -> one vector per region (pix2pixHD, section 3.4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ngf: Positive = 16
    n_downsample: Positive = 4
    output_nc: Positive = 3


class ImageGeneratorConfig(BaseModel):
    """Architecture of a global or local single-image generator (pix2pixHD, section 3.2)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["global", "local", "global_with_features", "local_with_features"] = "global"
    input_nc: Positive = 35  # channels of its input, without features
    ngf: Positive = 64
    n_downsample: Positive = 4
    n_blocks: Positive = 9
    n_blocks_local: Positive = 3
    n_local_enhancers: Positive = 1
    feat_num: Annotated[int, Field(ge=0)] = 0  # channels of the feature map; 0: none
    width_limit: Positive | None = 1024  # vid2vid's copies cap the width; pix2pixHD's own do not
    encoder: EncoderConfig | None = None
    feature_rows: tuple[int, ...] = ()  # vectors known per part label 0, 1, ...: the feature table that is looked up
