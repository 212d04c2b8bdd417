"""Terms of the objective that one chunk's frames give (vid2vid-spec, section 10.5), by the original's names."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flowreel.pipeline.generator.warp import warp
from flowreel.pipeline.training.objective.generate import Rendered
from flowreel.pipeline.training.objective.losses import Judgement, masked_difference, mean_difference
from flowreel.pipeline.training.objective.perceptual import Perceptual
from flowreel.schemas.training import DiscriminatorSpec, LossSpec

VOID = -1  # target of pixels that do not count
BOTH = 2.0  # terms of the blended and of the raw image are summed, not averaged


@dataclass(frozen=True)
class Chunk:
    """A chunk's frames, given and generated."""

    current_TLHW: Tensor  # encoded
    real_T3HW: Tensor
    before_T3HW: Tensor  # the real frame before each
    flow_T2HW: Tensor  # reference flow between the two
    sure_T1HW: Tensor
    made: Rendered
    last_13HW: Tensor  # the generated frame before the first
    starts_empty: bool  # the clip does
    label_THW: Tensor | None = None  # ids; none where frames are pictures
    known_T1HW: Tensor | None = None  # bool: pixels that count; None: all

    @property
    def target_THW(self) -> Tensor:
        """Gives the classes that critics shall find; VOID where pixels do not count."""
        assert self.label_THW is not None, "only label maps have classes"
        return self.label_THW if self.known_T1HW is None else self.label_THW.where(self.known_T1HW[:, 0], VOID)

    @property
    def fakes(self) -> list[Tensor]:
        """Gives the images to judge: the blended and the raw image, if they differ."""
        image, raw = self.made.image_T3HW, self.made.raw_T3HW
        return [image] if raw is image else [image, raw]


@dataclass(frozen=True)
class Term:
    """A term of the generator's loss."""

    value: Tensor
    weight: float = 1.0  # beyond what the original's definition of the term holds; 0: for logs alone


Terms = dict[str, Term]


def likeness(chunk: Chunk, losses: LossSpec, perceptual: Perceptual | None) -> Terms:
    """Measures how far generated frames are from the real ones: in colours, and in a network's features."""
    # The raw image too: where the blend takes the last frame instead, nothing else would teach it colours and shapes.
    differences = [mean_difference(fake_T3HW, chunk.real_T3HW) for fake_T3HW in chunk.fakes]
    terms = {"L1": Term(torch.stack(differences).mean(), losses.reconstruction)}
    if perceptual and losses.perceptual:
        terms["G_VGG"] = Term(losses.perceptual * BOTH * perceptual(chunk.fakes, chunk.real_T3HW))
    return terms


def steadiness(chunk: Chunk, losses: LossSpec) -> Terms:
    """Measures how far frames are from the generated ones before them, moved as the real frames move."""
    if not losses.warp:
        return {}
    image_T3HW = chunk.made.image_T3HW
    before_T3HW = torch.cat((chunk.last_13HW, image_T3HW[:-1].detach()))
    moved_T3HW = warp(before_T3HW, chunk.flow_T2HW)
    return {"G_Warp": Term(losses.warp * masked_difference(image_T3HW, moved_T3HW, chunk.sure_T1HW))}


def motion(chunk: Chunk, losses: LossSpec, scales: int) -> Terms:
    """Measures how far the generator's flow is from the real frames' motion. ``scales``: spatial ones of the
    generator."""
    flow_T2HW, weight_T1HW, sure_T1HW = chunk.made.flow_T2HW, chunk.made.weight_T1HW, chunk.sure_T1HW
    if flow_T2HW is None or weight_T1HW is None:
        return {}
    terms = {}
    if losses.flow:
        difference = masked_difference(flow_T2HW, chunk.flow_T2HW, sure_T1HW)
        terms["F_Flow"] = Term(losses.flow / 2 ** (scales - 1) * difference)
    if losses.warp:
        moved_T3HW = warp(chunk.before_T3HW, flow_T2HW)
        terms["F_Warp"] = Term(losses.warp * masked_difference(moved_T3HW, chunk.real_T3HW, sure_T1HW))
    if losses.mask and chunk.starts_empty:
        terms["W"] = Term(losses.mask * masked_difference(weight_T1HW, 0, sure_T1HW))
    return terms


@dataclass(frozen=True)
class Verdict:
    """Weights and names of a discriminator's terms: G_{kind}GAN{at}, D_{kind}real{at}, ..."""

    weight: float  # of the generator's terms, beyond the original's
    kind: str = ""
    at: str = ""
    generator_times: float = 1.0
    own_times: float = 1.0

    def terms(self, found: Judgement, losses: LossSpec, spec: DiscriminatorSpec) -> Terms:
        """Names and weights the terms. Features count lambda_feat * 4 / layers / num_D, num_D being the spec's for
        all discriminators."""
        matching = losses.feature_matching * 4 / (spec.layers + 1) / spec.members
        terms = {
            f"G_{self.kind}GAN{self.at}": Term(self.generator_times * found.gan, self.weight),
            f"D_{self.kind}real{self.at}": Term(self.own_times * found.real, 0),
            f"D_{self.kind}fake{self.at}": Term(self.own_times * found.fake, 0),
        }
        if found.matching is not None:
            value = self.generator_times * matching * found.matching
            terms[f"G_{self.kind}GAN_Feat{self.at}"] = Term(value, self.weight)
        return terms

    def own(self, found: Judgement) -> Tensor:
        """Gives the discriminator's loss."""
        return self.own_times * (found.real + found.fake) / 2
