"""Single-image generators and the feature encoder (pix2pixHD, sections 3.2 and 3.4; vid2vid's copies of them).

Parameter names are those of the official checkpoints. Their norms have no names here, see `layers.PlainNorm`.
"""

import torch
from torch import Tensor, nn

from flowreel.pipeline.generator import layers
from flowreel.pipeline.generator.conditioning import pyramid
from flowreel.pipeline.generator.image_config import EncoderConfig, ImageGeneratorConfig
from flowreel.pipeline.generator.layers import PlainNorm


class ImageGenerator(nn.Module):
    """A generator of one image in [-1, 1] from a frame's input: a global network, with or without local enhancers."""

    def __init__(self, config: ImageGeneratorConfig) -> None:
        super().__init__()
        self.config = config
        if config.joins_features:
            self._add_global_with_features()
        else:
            self._add_global()
        for j in range(1, config.enhancers + 1):
            self._add_enhancer(j)
        if config.joins_features:
            last = "model_final" if config.enhancers else "model_upsample_conv"
            self.add_module(last, layers.head(config.ngf + config.feat_num, 3, nn.Tanh()))
            self.last = last

    def _add_global(self) -> None:
        """Adds ``model``: whole, or up to its last features if enhancers follow."""
        c = self.config
        n, d, limit = c.ngf * 2**c.enhancers, c.n_downsample, c.width_limit
        modules = [
            *layers.entry(c.input_nc + c.feat_num, n, PlainNorm),
            *layers.downs(n, d, PlainNorm, limit),
            *layers.res_blocks(layers.widths(n, d, limit)[-1], c.n_blocks, PlainNorm),
            *layers.ups(n, d, PlainNorm, limit),
        ]
        self.model = nn.Sequential(*modules, *([] if c.enhancers else layers.head(n, 3, nn.Tanh())))

    def _add_global_with_features(self) -> None:
        c = self.config
        n, d, z, limit = c.ngf * 2**c.enhancers, c.n_downsample, c.feat_num, c.width_limit
        wide = layers.widths(n, d, limit)[-1]
        entry = layers.entry(c.input_nc + z, n, PlainNorm)
        self.model_downsample = nn.Sequential(*entry, *layers.downs(n, d, PlainNorm, limit))
        self.model_resnet = nn.Sequential(*layers.res_blocks(wide + z, c.n_blocks, PlainNorm))
        self.model_upsample = nn.Sequential(*layers.ups(n, d, PlainNorm, limit, joined=2 * z))

    def _add_enhancer(self, j: int) -> None:
        """Adds ``model{j}_1``, which goes down once, and ``model{j}_2``, which goes up again; j = 1 is the coarsest."""
        c = self.config
        finest = j == c.enhancers
        n = c.ngf * 2 ** (c.enhancers - j)
        inputs = c.input_nc + (c.feat_num if finest or not c.joins_features else 0)
        wide = 2 * n + (c.feat_num if j == 1 and c.joins_features else 0)
        above = [*layers.res_blocks(wide, c.n_blocks_local, PlainNorm), *layers.up(wide, n, PlainNorm)]
        if finest and not c.joins_features:
            above += layers.head(n, 3, nn.Tanh())
        self.add_module(
            f"model{j}_1", nn.Sequential(*layers.entry(inputs, n, PlainNorm), *layers.downs(n, 1, PlainNorm))
        )
        self.add_module(f"model{j}_2", nn.Sequential(*above))

    def forward(self, x_BCHW: Tensor, feature_BZHW: Tensor | None = None) -> Tensor:
        """Makes images (B, 3, H, W). ``feature_BZHW``: the feature map, for a generator with ``feat_num``."""
        c = self.config
        found = 0 if feature_BZHW is None else feature_BZHW.shape[1]
        if found != c.feat_num:
            raise ValueError(f"a feature map of {found} channels was given; this generator takes {c.feat_num}")
        if feature_BZHW is None:
            return self._enhanced(pyramid(x_BCHW, c.enhancers + 1))
        if not c.joins_features:
            return self._enhanced(pyramid(torch.cat((x_BCHW, feature_BZHW), dim=1), c.enhancers + 1))
        return self._enhanced_with(pyramid(x_BCHW, c.enhancers + 1), feature_BZHW)

    def _enhanced(self, levels: list[Tensor]) -> Tensor:
        y: Tensor = self.model(levels[0])
        for j in range(1, len(levels)):
            y = self._part(f"model{j}_2", self._part(f"model{j}_1", levels[j]) + y)
        return y

    def _enhanced_with(self, levels: list[Tensor], z_BZHW: Tensor) -> Tensor:
        finest = len(levels) - 1
        z_coarse = pyramid(z_BZHW, len(levels))[0]
        z_deep = pyramid(z_coarse, self.config.n_downsample + 1)[0]
        y = self.model_downsample(torch.cat((levels[0], z_coarse), dim=1))
        y = self.model_resnet(torch.cat((y, z_deep), dim=1))
        y = self.model_upsample(torch.cat((y, z_deep), dim=1))
        for j in range(1, len(levels)):
            below = torch.cat((levels[j], z_BZHW), dim=1) if j == finest else levels[j]
            y = self._part(f"model{j}_1", below) + y
            y = self._part(f"model{j}_2", torch.cat((y, z_coarse), dim=1) if j == 1 else y)
        return self._part(self.last, torch.cat((y, z_BZHW), dim=1))

    def _part(self, name: str, x_BCHW: Tensor) -> Tensor:
        part: Tensor = self.get_submodule(name)(x_BCHW)
        return part


class Encoder(nn.Module):
    """An encoder of a real image to features per pixel, in [-1, 1]; `features.region_means` makes them constant per
    region."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        n, d = config.ngf, config.n_downsample
        self.model = nn.Sequential(
            *layers.entry(3, n, PlainNorm),
            *layers.downs(n, d, PlainNorm),
            *layers.ups(n, d, PlainNorm),
            *layers.head(n, config.output_nc, nn.Tanh()),
        )

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Encodes ``image_B3HW`` in [-1, 1] as (B, Z, H, W)."""
        features: Tensor = self.model(image_B3HW)
        return features
