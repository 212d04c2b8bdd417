"""The segmentation critic: shapes, what counts, and that both sides learn from one pass."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flowreel.pipeline.training.objective.feature_networks import EfficientNetLite2
from flowreel.pipeline.training.objective.generate import Rendered
from flowreel.pipeline.training.objective.perceptual import Perceptual
from flowreel.pipeline.training.objective.segmentation import (
    MOST,
    SegmentationLoss,
    class_weights,
    cross_entropy,
)
from flowreel.pipeline.training.objective.segmentation_critic import SegmentationCritic
from flowreel.pipeline.training.objective.terms import VOID, Chunk
from flowreel.schemas.training import LossSpec

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES, SIDE = 3, 32


@pytest.fixture(scope="module")
def loss() -> SegmentationLoss:
    torch.manual_seed(0)
    network = EfficientNetLite2().requires_grad_(False)
    for name, value in network.named_buffers():
        if name.endswith(("running_var", "weight")):
            value.fill_(1)
    return SegmentationLoss(Perceptual(network, network.weights), LossSpec())


def chunk(image_B3HW: Tensor, known: Tensor | None = None) -> Chunk:
    seeded = torch.Generator().manual_seed(0)
    real_B3HW = torch.rand(2, 3, SIDE, SIDE, generator=seeded) * 2 - 1
    label_BHW = torch.randint(CLASSES, (2, SIDE // 8, SIDE // 8), generator=seeded)
    label_BHW = label_BHW.repeat_interleave(8, 1).repeat_interleave(8, 2)
    nothing = real_B3HW[:0]
    made = Rendered(image_B3HW, image_B3HW, None, None)
    return Chunk(nothing, real_B3HW, nothing, nothing, nothing, made, nothing, True, label_BHW, known)


def test_both_sides_learn_from_one_pass(loss: SegmentationLoss) -> None:
    critic, image = SegmentationCritic(CLASSES), torch.zeros(2, 3, SIDE, SIDE, requires_grad=True)
    terms, own = loss(critic, chunk(image), 1.0)
    own.backward(retain_graph=True, inputs=list(critic.parameters()))
    assert not any(p.grad is None for p in critic.parameters()) and all(
        p.grad is not None and p.grad.isfinite().all() for p in critic.parameters()
    )
    (gradient,) = torch.autograd.grad(terms["G_Seg"].value, image)
    assert gradient.abs().sum() > 0 and image.grad is None
    assert terms["G_Seg_Feat"].value > 0 and terms["D_Seg_fake"].weight == 0


def test_a_critic_learns_to_tell_classes_and_made_pixels(loss: SegmentationLoss) -> None:
    torch.manual_seed(1)
    critic, given = SegmentationCritic(CLASSES), chunk(torch.zeros(2, 3, SIDE, SIDE))
    optimiser = torch.optim.Adam(critic.parameters(), 2e-3)
    first = 0.0
    for step in range(8):
        _, own = loss(critic, given, 1.0)
        optimiser.zero_grad()
        own.backward()
        optimiser.step()
        first = float(own.detach()) if step == 0 else first
    assert float(loss(critic, given, 1.0)[1].detach()) < 0.8 * first


def test_pixels_that_are_not_known_do_not_count(loss: SegmentationLoss) -> None:
    known = torch.ones(2, 1, SIDE, SIDE, dtype=torch.bool)
    known[..., 16:, :] = False
    given = chunk(torch.zeros(2, 3, SIDE, SIDE), known)
    assert (given.target_THW[:, 16:] == VOID).all() and (given.target_THW[:, :16] != VOID).all()
    assert given.label_THW is not None
    other = replace(given, label_THW=torch.where(known[:, 0], given.label_THW, 1))
    critic = SegmentationCritic(CLASSES)
    one, two = (loss(critic, c, 1.0)[1] for c in (given, other))
    assert torch.equal(one, two)


def test_rare_classes_weigh_more_and_void_nothing() -> None:
    label = torch.zeros(1, 10, 10, dtype=torch.long)
    label[:, 0, :4], label[:, 9] = 1, VOID
    weights = class_weights(label, CLASSES)
    assert weights[1] > 3 * weights[0] and weights[1] <= MOST and weights[2] == 0 and weights[3] == 1
    logits = torch.zeros(1, CLASSES + 1, 10, 10)
    torch.testing.assert_close(cross_entropy(logits, label, weights), torch.tensor(4.0).log())
    assert cross_entropy(logits, torch.full_like(label, VOID), weights) == 0
