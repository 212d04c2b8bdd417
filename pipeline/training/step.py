"""Turns losses into new weights: each network learns from its own loss alone (vid2vid-spec, sections 10.5 and 10.6)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch.nn import Parameter
from torch.optim import Adam, Optimizer

from flowreel.pipeline.training.objective.networks import Networks
from flowreel.pipeline.training.objective.objective import Losses
from flowreel.schemas.training import OptimiserSpec

BETA2 = 0.999
TTUR_BETAS = (0.0, 0.9)

# Called with an optimiser's parameters before its step, for example to average gradients over workers. Gradients may
# be None: a temporal discriminator has none in a chunk without enough frames.
Reduce = Callable[[Iterable[Parameter]], None]


@dataclass(frozen=True)
class Optimisers:
    """One optimiser for the generator, one for the discriminators of images, one for each time scale's."""

    generator: Adam
    image: Adam  # D, D_f and D_S
    temporal: tuple[Adam, ...]

    def all(self) -> tuple[Adam, ...]:
        """Gives all of them in the order of their steps."""
        return (self.generator, self.image, *self.temporal)

    def clear(self) -> None:
        """Deletes all gradients."""
        for optimiser in self.all():
            optimiser.zero_grad(set_to_none=True)

    def step(self, reduce: Reduce | None = None) -> None:
        """Steps all of them; those of networks without gradients change nothing."""
        for optimiser in self.all():
            if reduce:
                reduce(parameters_of(optimiser))
            optimiser.step()

    def with_all_scales(self, networks: Networks, spec: OptimiserSpec, lr: float) -> Self:
        """Gives the optimisers after the epochs in which only the finest scale learned: the generator's is new, over
        all scales."""
        return replace(self, generator=Adam(_generator(networks), lr, (spec.beta1, BETA2)))


def optimisers(networks: Networks, spec: OptimiserSpec, finest_only: bool = False) -> Optimisers:
    """Makes new optimisers. ``finest_only``: of the generator's scales, the finest alone."""
    plain = (spec.beta1, BETA2)
    betas = TTUR_BETAS if spec.ttur else plain
    trained = list(networks.generator.scales[-1].parameters()) if finest_only else _generator(networks)
    return Optimisers(
        Adam(trained, spec.lr / 2 if spec.ttur else spec.lr, betas),
        Adam(_image(networks), spec.lr * 2 if spec.ttur else spec.lr, betas),
        tuple(Adam(network.parameters(), spec.lr, plain) for network in networks.D_T),
    )


def add_gradients(losses: Losses, networks: Networks, share: float = 1.0) -> None:
    """Adds ``share`` of each loss's gradients to those of its own networks' weights, and to no others.

    It can be called only once: what the losses share is freed.
    """
    # The generator's graph goes through all others': it comes last and frees them.
    if losses.image is not None:
        (losses.image * share).backward(inputs=_image(networks), retain_graph=True)
    for loss, network in zip(losses.temporal, networks.D_T, strict=False):
        (loss * share).backward(inputs=list(network.parameters()), retain_graph=True)
    (losses.generator * share).backward(inputs=_generator(networks))


def not_finite(losses: Losses, networks: Networks) -> str:
    """Tells which losses or gradients are not finite; empty if all are. Waits for the device once."""
    values = [losses.generator, *([] if losses.image is None else [losses.image]), *losses.temporal]
    gradients = [parameter.grad for parameter in networks.parameters() if parameter.grad is not None]
    norms = torch._foreach_norm(gradients) if gradients else []
    finite = torch.stack([value.detach().float() for value in (*values, *norms)]).isfinite()
    if finite.all():
        return ""
    if finite[: len(values)].all():
        return "a gradient is not finite"
    wrong = [name for name, value in losses.terms.items() if not value.isfinite()]
    return f"the loss is not finite ({', '.join(wrong) or 'its sum'})"


def parameters_of(optimiser: Optimizer) -> list[Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _generator(networks: Networks) -> list[Parameter]:
    """Gives the weights of the video networks; vid2vid's that make first frames are not trained here."""
    half = networks.half_size.parameters() if networks.half_size else ()
    return [*(parameter for scale in networks.generator.scales for parameter in scale.parameters()), *half]


def _image(networks: Networks) -> list[Parameter]:
    """Gives the weights of what judges single images."""
    judges = (networks.D, networks.D_f, networks.D_S)
    return [parameter for network in judges if network for parameter in network.parameters()]
