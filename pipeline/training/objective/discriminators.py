"""Patch discriminators at several image sizes (vid2vid, section 3.2; pix2pixHD). Keys are those of original files."""

from torch import Tensor, nn

from flowreel.pipeline.generator.conditioning import pool

WIDEST_BASE, WIDEST = 64, 512  # channels: most after a member's first layer, most after any
SLOPE = 0.2  # of leaky ReLUs below 0
Outputs = list[list[Tensor]]  # per member, finest size first: what each layer gives; the last one is the judgement


def patch_layers(channels: int, width: int, inner: int) -> list[list[nn.Module]]:
    """Builds the modules of each of the ``inner`` + 2 layers. Norms always take their statistics from the batch."""
    widths = [min(width * 2**i, WIDEST) for i in range(inner + 1)]
    layers: list[list[nn.Module]] = [[_conv(channels, width, 2), nn.LeakyReLU(SLOPE)]]
    for i in range(inner):
        conv = _conv(widths[i], widths[i + 1], 2 if i < inner - 1 else 1)
        layers.append([conv, nn.BatchNorm2d(widths[i + 1]), nn.LeakyReLU(SLOPE)])
    return [*layers, [_conv(widths[-1], 1, 1)]]


def _conv(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 4, stride=stride, padding=2)


class MultiScaleDiscriminator(nn.Module):
    """A discriminator of image patches at ``members`` sizes: the last member at full size, each other one at half the
    next.

    ``layered``: gives every layer's output, for feature matching; without, members' layers have plain numbers, as in
    the originals' files of such runs, and only judgements are given.
    """

    def __init__(self, channels: int, width: int, inner: int, members: int, layered: bool = True) -> None:
        super().__init__()
        self.members: list[list[str]] = []  # names of each member's modules
        for i in range(members):
            layers = patch_layers(channels, min(WIDEST_BASE, width * 2 ** (members - 1 - i)), inner)
            named = {f"scale{i}_layer{j}": layer for j, layer in enumerate(layers)}
            if not layered:
                named = {f"layer{i}": [module for layer in layers for module in layer]}
            for name, modules in named.items():
                self.add_module(name, nn.Sequential(*modules))
            self.members.append(list(named))

    def forward(self, x_BCHW: Tensor) -> Outputs:
        outputs: Outputs = []
        for i, names in enumerate(reversed(self.members)):
            x_BCHW = pool(x_BCHW) if i else x_BCHW
            features = [x_BCHW]
            for name in names:
                features.append(self.get_submodule(name)(features[-1]))
            outputs.append(features[1:])
        return outputs
