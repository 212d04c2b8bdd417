"""Steps of the optimisers: who moves, and what gradients are before they do."""

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from flowreel.pipeline.training.step import add_gradients, optimisers, parameters_of
from flowreel.schemas.training import DiscriminatorSpec, OptimiserSpec

from .small import JUDGES, walk

pytestmark = pytest.mark.usefixtures("one_thread")


def weights(networks: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in networks.named_parameters()}


def test_gradients_of_clips_are_averaged() -> None:
    one, two = walk(), walk()
    add_gradients(one.loads(1)[0][0], one.networks)
    for _ in range(2):
        add_gradients(two.loads(1)[0][0], two.networks, share=0.5)
    for (name, p), q in zip(one.networks.named_parameters(), two.networks.parameters(), strict=True):
        if p.grad is not None:
            torch.testing.assert_close(q.grad, p.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_time_scales_without_frames_do_not_move() -> None:
    here = walk(JUDGES.model_copy(update={"temporal_frames": 3}))
    steps, before = optimisers(here.networks, OptimiserSpec()), weights(here.networks)
    losses, _ = here.loads(1)[0]
    assert losses.temporal == ()
    add_gradients(losses, here.networks)
    steps.step()
    moved = {
        name.split(".")[0] for name, value in weights(here.networks).items() if not torch.equal(value, before[name])
    }
    assert moved == {"generator", "D"}


def test_gradients_can_be_changed_before_each_step() -> None:
    """As the average over workers does; each network's come together."""
    here, seen = walk(), []
    steps, before = optimisers(here.networks, OptimiserSpec()), weights(here.networks)

    def halt(parameters: Iterable[Parameter]) -> None:
        seen.append(len(list(parameters)))
        for p in parameters:
            p.grad = None

    add_gradients(here.loads(1)[0][0], here.networks)
    steps.step(halt)
    assert seen == [len(parameters_of(optimiser)) for optimiser in steps.all()] and len(seen) == 4
    assert all(torch.equal(value, before[name]) for name, value in weights(here.networks).items())


def test_ttur_leaves_time_scales_alone() -> None:
    spec = OptimiserSpec(lr=1e-3, ttur=True)
    groups = [optimiser.param_groups[0] for optimiser in optimisers(walk().networks, spec).all()]
    assert [group["lr"] for group in groups] == [5e-4, 2e-3, 1e-3, 1e-3]
    assert [group["betas"] for group in groups] == [(0.0, 0.9), (0.0, 0.9), (0.5, 0.999), (0.5, 0.999)]


def test_all_scales_begin_with_new_moments() -> None:
    here, spec = walk(scales=2), OptimiserSpec(ttur=True)
    first = optimisers(here.networks, spec, finest_only=True)
    finest, coarse = (list(scale.parameters()) for scale in reversed(here.networks.generator.scales))
    assert {id(p) for p in parameters_of(first.generator)} == {id(p) for p in finest}
    then = first.with_all_scales(here.networks, spec, 3e-4)
    assert {id(p) for p in parameters_of(then.generator)} == {id(p) for p in (*finest, *coarse)}
    assert then.generator.param_groups[0]["lr"] == 3e-4 and then.generator.param_groups[0]["betas"] == (0.5, 0.999)
    assert then.image is first.image and then.temporal == first.temporal


def test_the_face_discriminator_moves_with_that_of_images() -> None:
    here = walk(DiscriminatorSpec(members=1, width=4, face=True))
    held = {id(p) for p in parameters_of(optimisers(here.networks, OptimiserSpec()).image)}
    assert here.networks.D_f is not None
    assert held == {id(p) for network in (here.networks.D, here.networks.D_f) for p in network.parameters()}
