"""The terms of the segmentation critic: made pixels shall be taken for the classes that they were made from (OASIS,
arXiv 2012.04781)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flowreel.pipeline.training.objective.losses import exact
from flowreel.pipeline.training.objective.perceptual import Perceptual
from flowreel.pipeline.training.objective.segmentation_critic import SegmentationCritic
from flowreel.pipeline.training.objective.terms import BOTH, VOID, Chunk, Term, Terms
from flowreel.schemas.training import LossSpec

COMMON, MOST = 1e-4, 8.0  # share added to each class's, and the largest weight of a rare class


@dataclass(frozen=True)
class SegmentationLoss:
    """What the critic says of a chunk."""

    frozen: Perceptual  # EfficientNet-Lite2 and the weights of its layers
    losses: LossSpec

    def __call__(self, critic: SegmentationCritic, chunk: Chunk, weight: float) -> tuple[Terms, Tensor]:
        """Computes the generator's terms, and the critic's own loss. ``weight``: of the adversarial term.

        As in `losses.judge`, every image passes once: whoever differentiates must ask for one side's gradients alone.
        """
        real_T3HW, fakes = chunk.real_T3HW, torch.cat(chunk.fakes)
        with torch.no_grad():
            wanted = self.frozen.network.features(real_T3HW)
        found = self.frozen.network.features(fakes)
        both = [torch.cat(pair) for pair in zip(wanted, found, strict=True)]
        logits = critic(torch.cat((real_T3HW, fakes)), both)
        real, made = logits[: len(real_T3HW)], logits[len(real_T3HW) :]
        label_THW = chunk.target_THW[:, ::2, ::2]
        labels, balance = label_THW.repeat(len(chunk.fakes), 1, 1), class_weights(label_THW, critic.classes)
        taken_for_real = cross_entropy(made, labels, balance)
        made_THW = torch.where(labels == VOID, VOID, critic.classes)
        own_real, own_made = cross_entropy(real, label_THW, balance), cross_entropy(made, made_THW, balance)
        terms = {
            "G_Seg": Term(self.losses.segmentation * taken_for_real, weight),
            "D_Seg_real": Term(own_real, 0),
            "D_Seg_fake": Term(own_made, 0),
        }
        if self.losses.segmentation_features:
            apart = self.frozen.between(found, wanted, len(chunk.fakes))
            terms["G_Seg_Feat"] = Term(self.losses.segmentation_features * BOTH * apart)
        return terms, own_real + own_made


def class_weights(label_THW: Tensor, classes: int) -> Tensor:
    """Weighs classes by the root of how rare they are in these labels, 1 for a mean pixel: (classes + 1,), the last one
    of made pixels."""
    counts = torch.bincount(label_THW[label_THW != VOID], minlength=classes)[:classes].float()
    share = counts / counts.sum().clamp(min=1)
    weights = torch.where(counts > 0, (share + COMMON).rsqrt(), 0)
    weights = (weights / (weights * share).sum().clamp(min=COMMON)).clamp(max=MOST)
    return torch.cat((weights, weights.new_ones(1)))


def cross_entropy(logits_BCHW: Tensor, target_BHW: Tensor, weights: Tensor) -> Tensor:
    """Averages over the pixels that count, each by its class's weight."""
    each = F.cross_entropy(exact(logits_BCHW), target_BHW, ignore_index=VOID, reduction="none")
    weight_BHW = torch.where(target_BHW == VOID, 0, weights[target_BHW.clamp(min=0)])
    return (each * weight_BHW).sum() / weight_BHW.sum().clamp(min=1)
