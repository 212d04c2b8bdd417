"""Facts that the weights of single-image generators and encoders show (pix2pixHD, sections 3.2 and 3.4; vid2vid's
copies)."""

from dataclasses import dataclass
from typing import Literal

from flowreel.pipeline.generator.image_config import EncoderConfig
from flowreel.pipeline.generator.importing import weight_layout
from flowreel.pipeline.generator.importing.pth import Weights
from flowreel.schemas.errors import CheckpointError

Kind = Literal["global", "local", "global_with_features", "local_with_features"]
WIDTH_LIMIT = 1024  # of vid2vid's copies
_FIRST = "the first convolution, which shows width and input channels"
_LAST = "the last convolution, which shows the channels of the feature map"


@dataclass(frozen=True)
class ImageFacts:
    """The layout of one generator."""

    file: str
    kind: Kind
    inputs: int  # channels of its input; the plain kinds count those of a feature map with them
    ngf: int  # n: base width at full resolution
    n_downsample: int
    n_blocks: int
    n_blocks_local: int | None  # None: there are no local enhancers
    n_local_enhancers: int | None
    feat_num: int | None  # channels of the feature map; None: the weights cannot tell
    width_limit: int | None


def image_facts(weights: Weights) -> ImageFacts:
    """Reads a generator's layout. Raises CheckpointError for a file that is not such a generator."""
    enhancers = 0
    while weight_layout.has(weights, f"model{enhancers + 1}_1"):
        enhancers += 1
    if weight_layout.has(weights, "model_downsample"):
        return _with_features(weights, enhancers)
    if not weight_layout.has(weights, "model"):
        raise CheckpointError(f"{weights.name} is no single-image generator: no keys model.* or model_downsample.*")
    wide, inputs = weight_layout.shape_of(weights, "model.1.weight", _FIRST)[:2]
    down = weight_layout.downs(weights, "model")
    n = weight_layout.shape_of(weights, f"model{enhancers}_1.1.weight", _FIRST)[0] if enhancers else wide
    return ImageFacts(
        file=weights.name,
        kind="local" if enhancers else "global",
        inputs=inputs,
        ngf=n,
        n_downsample=down,
        n_blocks=len(weight_layout.blocks(weights, "model")),
        n_blocks_local=len(weight_layout.blocks(weights, "model1_2")) if enhancers else None,
        n_local_enhancers=enhancers or None,
        feat_num=None,
        width_limit=_width_limit(weights, f"model.{1 + 3 * down}.weight", wide * 2**down),
    )


def _with_features(weights: Weights, enhancers: int) -> ImageFacts:
    wide, inputs = weight_layout.shape_of(weights, "model_downsample.1.weight", _FIRST)[:2]
    down = weight_layout.downs(weights, "model_downsample")
    last = "model_final.1.weight" if enhancers else "model_upsample_conv.1.weight"
    n = weight_layout.shape_of(weights, f"model{enhancers}_1.1.weight", _FIRST)[0] if enhancers else wide
    feat_num = weight_layout.shape_of(weights, last, _LAST)[1] - n
    if not 0 < feat_num < inputs:
        raise CheckpointError(
            f"{weights.name}: {last} reads {feat_num + n} channels and the network has base width {n}: no room for a"
            " feature map between them"
        )
    return ImageFacts(
        file=weights.name,
        kind="local_with_features" if enhancers else "global_with_features",
        inputs=inputs - feat_num,
        ngf=n,
        n_downsample=down,
        n_blocks=len(weight_layout.blocks(weights, "model_resnet")),
        n_blocks_local=len(weight_layout.blocks(weights, "model1_2")) if enhancers else None,
        n_local_enhancers=enhancers or None,
        feat_num=feat_num,
        width_limit=_width_limit(weights, f"model_downsample.{1 + 3 * down}.weight", wide * 2**down),
    )


def _width_limit(weights: Weights, widest: str, uncapped: int) -> int | None:
    """Gives vid2vid's limit unless the weights are wider; narrower networks are the same with and without it."""
    found = weights.shapes.get(widest, (uncapped,))[0]
    return None if found > WIDTH_LIMIT else WIDTH_LIMIT


def encoder_facts(weights: Weights) -> EncoderConfig:
    """Reads an encoder's layout: as many ups as downs, a 7x7 convolution at each end."""
    n, inputs = weight_layout.shape_of(weights, "model.1.weight", _FIRST)[:2]
    steps = weight_layout.convolutions(weights, "model")
    if inputs != 3 or weight_layout.blocks(weights, "model") or len(steps) < 4 or len(steps) % 2:
        raise CheckpointError(
            f"{weights.name} is no feature encoder: that reads an RGB image and has as many steps up as down, no"
            " residual blocks"
        )
    last = weight_layout.shape_of(weights, f"model.{steps[-1]}.weight", _LAST)
    return EncoderConfig(ngf=n, n_downsample=(len(steps) - 2) // 2, output_nc=last[0])
