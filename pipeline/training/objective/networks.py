"""All networks of a training run, with the originals' initial weights."""

from torch import nn

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.layers import ClipNorm
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.training.objective.discriminators import MultiScaleDiscriminator
from flowreel.schemas.training import DiscriminatorSpec

SPREAD = 0.02  # standard deviation of initial weights


class Networks(nn.Module):
    """The generator and the discriminators, whose labels are those of the original's files."""

    D_f: MultiScaleDiscriminator | None

    def __init__(self, config: GeneratorConfig, spec: DiscriminatorSpec, layered: bool = True) -> None:
        super().__init__()

        def discriminator(channels: int, members: int) -> MultiScaleDiscriminator:
            return MultiScaleDiscriminator(channels, spec.width, spec.layers, members, layered)

        frame, n = config.frame_channels + 3, spec.temporal_frames
        self.generator = VideoGenerator(config)
        self.D = discriminator(frame, spec.members)
        self.D_f = discriminator(frame, max(1, spec.members - 2)) if spec.face else None
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


def build(config: GeneratorConfig, spec: DiscriminatorSpec, layered: bool = True) -> Networks:
    """Builds new networks. ``layered``: give layers' outputs for feature matching; see MultiScaleDiscriminator."""
    networks = Networks(config, spec, layered)
    for network in (*networks.generator.scales, *networks.discriminators().values()):
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
