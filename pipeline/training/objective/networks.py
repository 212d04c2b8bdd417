"""All networks of a training run, with the originals' initial weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowreel.pipeline.generator import families as generators
from flowreel.pipeline.generator.adaptive.config import AdaptiveConfig
from flowreel.pipeline.generator.adaptive.generator import AdaptiveGenerator
from flowreel.pipeline.generator.adaptive.picture import SLOPE, pixel_norm
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.generator.layers import ClipNorm
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.generator.warp import exact, full_precision
from flowreel.pipeline.training.objective.discriminators import MultiScaleDiscriminator
from flowreel.pipeline.training.objective.segmentation_critic import SegmentationCritic
from flowreel.schemas.training import DiscriminatorSpec

SPREAD = 0.02  # standard deviation of initial weights


class Networks(nn.Module):
    """The generator and the discriminators, whose labels are those of the original's files."""

    D_f: MultiScaleDiscriminator | None
    D_S: SegmentationCritic | None
    half_size: "HalfSize | None"  # from a class-adaptive generator's features at half the size to a picture

    def __init__(self, config: AnyConfig, spec: DiscriminatorSpec, layered: bool = True) -> None:
        super().__init__()

        def discriminator(channels: int, members: int) -> MultiScaleDiscriminator:
            return MultiScaleDiscriminator(channels, spec.width, spec.layers, members, layered)

        frame, n = config.frame_channels + 3, spec.temporal_frames
        self.generator = generators.build(config)
        self.half_size = HalfSize(config) if isinstance(config, AdaptiveConfig) else None
        self.D = discriminator(frame, spec.members)
        self.D_f = discriminator(frame, max(1, spec.members - 2)) if spec.face else None
        self.D_S = SegmentationCritic(config.label_nc) if spec.segmentation else None
        self.temporal_scales = spec.temporal_scales
        for s in range(spec.temporal_scales):
            self.add_module(f"D_T{s}", discriminator(3 * n + 2 * (n - 1), spec.members))

    @property
    def D_T(self) -> list[MultiScaleDiscriminator]:
        """Gives the temporal discriminators, finest time scale first."""
        named = self.discriminators()
        return [named[f"D_T{s}"] for s in range(self.temporal_scales)]

    def discriminators(self) -> dict[str, MultiScaleDiscriminator]:
        """Gives the discriminators by label: D, D_f, D_T0, D_T1, ..."""
        return {label: net for label, net in self.named_children() if isinstance(net, MultiScaleDiscriminator)}

    def critics(self) -> list[nn.Module]:
        """Gives all networks that judge."""
        return [*self.discriminators().values(), *([self.D_S] if self.D_S else ())]


class HalfSize(nn.Module):
    """The last layers of a class-adaptive decoder that ends at half the size; rendering does without them."""

    def __init__(self, config: AdaptiveConfig) -> None:
        super().__init__()
        self.picture = nn.Conv2d(config.widths[1], 3, 3, padding=1)

    def forward(self, generator: AdaptiveGenerator, now_BLHW: Tensor) -> Tensor:
        """Draws pictures in [-1, 1], (B, 3, H/2, W/2), from encoded frames alone."""
        x = generator.half_size(now_BLHW)
        with full_precision(x):
            return torch.tanh(self.picture(F.leaky_relu(pixel_norm(exact(x)), SLOPE)))


def build(config: AnyConfig, spec: DiscriminatorSpec, layered: bool = True) -> Networks:
    """Builds new networks. ``layered``: give layers' outputs for feature matching; see MultiScaleDiscriminator."""
    networks = Networks(config, spec, layered)
    like_the_originals = networks.generator.scales if isinstance(networks.generator, VideoGenerator) else []
    for network in (*like_the_originals, *networks.discriminators().values()):
        network.apply(_initialise)
    return networks


def _initialise(module: nn.Module) -> None:
    """Initialises convolutions by N(0, 0.02), norms by N(1, 0.02); convolutions' biases stay PyTorch's, as in the
    original."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, SPREAD)
    elif isinstance(module, nn.BatchNorm2d | ClipNorm):
        nn.init.normal_(module.weight, 1, SPREAD)
        nn.init.zeros_(module.bias)
