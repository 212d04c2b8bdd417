"""Loss functions: least-squares GAN, feature matching, masked differences. Computed at least in float32."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowreel.pipeline.training.objective.discriminators import MultiScaleDiscriminator, Outputs


@dataclass(frozen=True)
class Judgement:
    """A discriminator's losses on real images and on some sets of generated ones: means over these sets."""

    real: Tensor  # the discriminator's loss on real images
    fake: Tensor  # the discriminator's loss on made images
    gan: Tensor  # the generator's loss: how far its images are from being taken for real
    matching: Tensor | None  # mean absolute differences of features, summed over members and layers


def judge(
    network: MultiScaleDiscriminator, real_BCHW: Tensor, fakes: Sequence[Tensor], matching: bool = True
) -> Judgement:
    """Judges images. ``fakes``: sets of generated images, each with all channels that the network takes. ``matching``:
    with features.

    Every image passes the network once, although both sides learn from generated ones: whoever differentiates ``fake``
    must ask for the discriminator's gradients alone, and for the generator's alone of ``gan`` and ``matching``.
    """
    seen_real = network(real_BCHW)
    seen_fakes = [network(fake_BCHW) for fake_BCHW in fakes]
    return Judgement(
        real=gan(seen_real, 1),
        fake=_mean([gan(seen, 0) for seen in seen_fakes]),
        gan=_mean([gan(seen, 1) for seen in seen_fakes]),
        matching=_mean([feature_matching(seen, seen_real) for seen in seen_fakes]) if matching else None,
    )


def gan(outputs: Outputs, target: float) -> Tensor:
    """Sums over members the mean squared distance to ``target``: 1 is real, 0 is generated."""
    return _sum([(exact(member[-1]) - target).square().mean() for member in outputs])


def feature_matching(fake: Outputs, real: Outputs) -> Tensor:
    """Sums over members and all layers but the last the mean absolute difference; the real side is constant."""
    pairs = [(f, r) for a, b in zip(fake, real, strict=True) for f, r in zip(a[:-1], b[:-1], strict=True)]
    return _sum([mean_difference(f, r.detach()) for f, r in pairs])


def mean_difference(x: Tensor, target: Tensor) -> Tensor:
    """Averages the absolute difference over all elements."""
    return (exact(x) - exact(target)).abs().mean()


def masked_difference(x_BCHW: Tensor, target: Tensor | float, mask_B1HW: Tensor) -> Tensor:
    """Averages over ALL elements, not the mask's area, the absolute difference where the mask is 1."""
    return ((x_BCHW - target) * mask_B1HW).abs().mean()


def exact(x: Tensor) -> Tensor:
    """Converts to float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _sum(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).sum()


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()
