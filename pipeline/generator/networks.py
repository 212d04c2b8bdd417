"""The video generator: one network per spatial scale, coarsest first (vid2vid, sections 3.1 and 3.3).

Parameter names are those of the official checkpoints: ``G0.*`` is the coarsest network, ``G1.*`` the next finer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flowreel.pipeline.generator import layers
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.features import FeatureTables
from flowreel.pipeline.generator.image_networks import Encoder, ImageGenerator
from flowreel.pipeline.generator.warp import exact, full_precision, over, warp

FLOW_UNIT = 20.0  # pixels per unit of the flow head at the coarsest scale; doubles with each finer scale


@dataclass(frozen=True)
class ScaleInput:
    """The inputs of one scale's network."""

    labels_BCHW: Tensor  # T encoded frames, oldest first, all channels of a frame together
    history_BPHW: Tensor  # T-1 previous outputs in [-1, 1], oldest first
    mask_B1HW: Tensor  # share of foreground of the current frame, in [0, 1]
    raw_only: bool  # no warp: there is no previous frame yet


@dataclass(frozen=True)
class ScaleOutput:
    """The outputs of one scale's network; features go to the next finer scale."""

    image_B3HW: Tensor  # blended result in [-1, 1]
    raw_B3HW: Tensor  # synthesised image before blending with the warp
    flow_B2HW: Tensor | None  # backward flow t -> t-1, pixels of this scale, (x, y)
    weight_B1HW: Tensor | None  # weight of the synthesised image against the warped one, in [0, 1]
    image_features_BCHW: Tensor
    flow_features_BCHW: Tensor | None
    fg_features_BCHW: Tensor | None


class ScaleNetwork(nn.Module):
    """The heads and blending that all scales share; subclasses make the features."""

    def __init__(self, config: GeneratorConfig, scale: int) -> None:
        super().__init__()
        n = config.width(scale)
        self.model_final_img = layers.head(n, 3, nn.Tanh())
        if config.flow:
            self.model_final_flow = layers.head(n, 2)
            self.model_final_w = layers.head(n, 1, nn.Sigmoid())
        if config.fg_labels:
            self.indv_final = layers.head(config.foreground_width(scale), 3, nn.Tanh())
        self.has_flow = config.flow
        self.has_foreground = bool(config.fg_labels)
        self.flow_unit = FLOW_UNIT * 2**scale

    def features(self, given: ScaleInput, coarser: ScaleOutput | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Computes image, flow and foreground features, at this scale's size."""
        raise TypeError(f"{type(self).__name__} is not a scale of its own")

    def forward(self, given: ScaleInput, coarser: ScaleOutput | None = None) -> ScaleOutput:
        features = self.features(given, coarser)
        with full_precision(features[0]):
            return self._blended(given, *features)

    def _blended(self, given: ScaleInput, f_img: Tensor, f_flow: Tensor | None, f_fg: Tensor | None) -> ScaleOutput:
        raw = self.model_final_img(exact(f_img))
        image, flow, weight = raw, None, None
        if f_flow is not None:
            flow = self.flow_unit * self.model_final_flow(exact(f_flow))
            weight = self.model_final_w(exact(f_flow))
            if not given.raw_only:
                previous_B3HW = given.history_BPHW[:, -3:]
                image = over(raw, warp(previous_B3HW, flow), weight)
        if f_fg is not None:
            foreground, m = self.indv_final(exact(f_fg)), given.mask_B1HW
            image, raw = over(foreground, image, m), over(foreground, raw, m)
        return ScaleOutput(image, raw, flow, weight, f_img, f_flow, f_fg)


class CoarsestNetwork(ScaleNetwork):
    """netG0: label and image encoders, image / flow / foreground decoders."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config, 0)
        n, d, b = config.width(0), config.n_downsample, config.n_blocks
        wide, inputs = n * 2**d, config.n_frames * config.frame_channels
        if config.fg_labels:
            q = config.foreground_width(0)
            self.indv_down = nn.Sequential(*layers.entry(inputs, q), *layers.downs(q, d))
            self.indv_res = nn.Sequential(*layers.res_blocks(q * 2**d, b))
            self.indv_up = nn.Sequential(*layers.ups(q, d))

        def encoder(channels: int) -> nn.Sequential:
            blocks = layers.res_blocks(wide, b - b // 2)
            return nn.Sequential(*layers.entry(channels, n), *layers.downs(n, d), *blocks)

        self.model_down_seg = encoder(inputs)
        self.model_down_img = encoder(3 * (config.n_frames - 1))
        self.model_res_img = nn.Sequential(*layers.res_blocks(wide, b // 2))
        self.model_up_img = nn.Sequential(*layers.ups(n, d))
        if config.flow:
            self.model_res_flow = nn.Sequential(*layers.res_blocks(wide, b // 2))
            self.model_up_flow = nn.Sequential(*layers.ups(n, d))

    def features(self, given: ScaleInput, coarser: ScaleOutput | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        joint = self.model_down_seg(given.labels_BCHW) + self.model_down_img(given.history_BPHW)
        f_img = self.model_up_img(self.model_res_img(joint))
        f_flow = self.model_up_flow(self.model_res_flow(joint)) if self.has_flow else None
        f_fg = self.indv_up(self.indv_res(self.indv_down(given.labels_BCHW))) if self.has_foreground else None
        return f_img, f_flow, f_fg


class FinerNetwork(ScaleNetwork):
    """netG1, netG2, ...: local enhancers that add detail to the coarser scale's features."""

    def __init__(self, config: GeneratorConfig, scale: int) -> None:
        super().__init__(config, scale)
        n, inputs = config.width(scale), config.n_frames * config.frame_channels

        def decoder(width: int) -> nn.Sequential:
            return nn.Sequential(*layers.res_blocks(2 * width, config.n_blocks_local), *layers.ups(width, 1))

        if config.fg_labels:
            q = config.foreground_width(scale)
            self.indv_down = nn.Sequential(*layers.entry(inputs, q), *layers.downs(q, 1))
            self.indv_up = decoder(q)
        self.model_down_seg = nn.Sequential(*layers.entry(inputs, n), *layers.downs(n, 1))
        self.model_down_img = nn.Sequential(*layers.entry(3 * (config.n_frames - 1), n), *layers.downs(n, 1))
        self.model_up_img = decoder(n)
        if config.flow:
            self.model_up_flow = decoder(n)

    def features(self, given: ScaleInput, coarser: ScaleOutput | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        assert coarser is not None, "a finer scale refines a coarser one"
        joint = self.model_down_seg(given.labels_BCHW) + self.model_down_img(given.history_BPHW)
        f_img = self.model_up_img(joint + coarser.image_features_BCHW)
        f_flow = None if coarser.flow_features_BCHW is None else self.model_up_flow(joint + coarser.flow_features_BCHW)
        f_fg = None
        if coarser.fg_features_BCHW is not None:
            f_fg = self.indv_up(self.indv_down(given.labels_BCHW) + coarser.fg_features_BCHW)
        return f_img, f_flow, f_fg


class VideoGenerator(nn.Module):
    """All scales of a generator; it holds weights and no state of any clip.

    Where it makes its first frames itself: ``S`` makes a frame from a frame's input, ``E`` describes the regions of a
    real image, ``features`` are descriptions of images that ``S`` was trained on.
    """

    S: ImageGenerator | None
    E: Encoder | None
    features: FeatureTables | None

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        for scale in range(config.n_scales):
            network = CoarsestNetwork(config) if scale == 0 else FinerNetwork(config, scale)
            self.add_module(f"G{scale}", network)
        single = config.single
        self.S = ImageGenerator(single) if single else None
        self.E = Encoder(single.encoder) if single and single.encoder else None
        self.features = FeatureTables(single) if single and single.feature_rows else None

    @property
    def scales(self) -> list[ScaleNetwork]:
        """Gives the scales' networks, coarsest first."""
        return [network for network in self.children() if isinstance(network, ScaleNetwork)]

    @property
    def device(self) -> torch.device:
        """Gives the device of its weights."""
        return next(self.parameters()).device

    def forward(self, inputs: list[ScaleInput]) -> list[ScaleOutput]:
        """Computes one frame at all scales, coarsest first."""
        outputs: list[ScaleOutput] = []
        for network, given in zip(self.scales, inputs, strict=True):
            outputs.append(network(given, outputs[-1] if outputs else None))
        return outputs
