"""The objective that is minimised on one chunk of a clip, for all networks (vid2vid, section 3.2; vid2vid-spec, section
10.5).

One clip at a time: a chunk's frames are the discriminators' batch. ``step.py`` differentiates the losses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowreel.pipeline.generator.rollout import RolloutState, start_empty, start_from
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.pipeline.training.objective import temporal_groups as temporal
from flowreel.pipeline.training.objective.face_crop import FaceCrop, face_crop
from flowreel.pipeline.training.objective.frame_groups import FlowBetween, Sequences
from flowreel.pipeline.training.objective.generate import Rendered, generate
from flowreel.pipeline.training.objective.losses import judge
from flowreel.pipeline.training.objective.networks import Networks
from flowreel.pipeline.training.objective.perceptual import Perceptual
from flowreel.pipeline.training.objective.terms import BOTH, Chunk, Terms, Verdict, likeness, motion, steadiness
from flowreel.schemas.training import DiscriminatorSpec, LossSpec

FACE = 2.0  # the generator's face terms count double


@dataclass(frozen=True)
class ChunkOptions:
    """The schedule's settings for a chunk."""

    adversarial: float = 1.0  # factor in [0, 1] of all discriminators' terms; 0: none of them is used or trained
    backprop: int = 1  # frames that gradients flow back
    finest_only: bool = False  # coarser scales are not trained


@dataclass(frozen=True)
class Losses:
    """The losses to differentiate, each by its own networks' weights alone."""

    generator: Tensor
    image: Tensor | None  # of D and D_f; None: they were not used
    temporal: tuple[Tensor, ...]  # of D_T0, D_T1, ..., as far as there are enough frames
    terms: dict[str, Tensor]  # for logs, detached; without LossSpec.adversarial, .temporal and ChunkOptions.adversarial


@dataclass(frozen=True)
class Memory:
    """All that a clip's next chunk needs of the earlier ones; no gradients reach into it."""

    state: RolloutState
    last_13HW: Tensor  # the frame before the next chunk: generated, or the real one where the clip begins
    stores: temporal.Stores
    past: Mapping[int, Tensor]  # the generated frames (3, H, W) that ``stores`` name


def start(networks: Networks, clip: TrainingClip) -> Memory:
    """Gives the memory before the first chunk: T-1 real frames are given, or nothing."""
    config, real_T3HW = networks.generator.config, clip.real_T3HW
    before = config.n_frames - 1
    if clip.starts_empty:
        state = start_empty(config, 1, (real_T3HW.shape[-2], real_T3HW.shape[-1]), real_T3HW)
    else:
        state = start_from(config, real_T3HW[None, :before])
    return Memory(state, real_T3HW[before - 1 : before], (), {})


@dataclass(frozen=True)
class Objective:
    """The whole objective. What has weight 0 is not computed."""

    losses: LossSpec
    discriminators: DiscriminatorSpec
    flow: FlowBetween  # between real frames that are not neighbours
    perceptual: Perceptual | None = None
    face: FaceCrop | None = None  # for D_f; None: the original's for these networks

    def __call__(
        self, networks: Networks, clip: TrainingClip, frames: range, memory: Memory, options: ChunkOptions
    ) -> tuple[Losses, Memory, Rendered]:
        """Computes the losses of the new ``frames`` (indices in the clip); the T-1 frames before them are context.

        Chunks of a clip come in order, each with the memory that the one before it returned.
        """
        config = networks.generator.config
        context = config.n_frames - 1
        encoded_TLHW = clip.encoded(frames.start - context, frames.stop, config).to(clip.real_T3HW.dtype)
        state, made = generate(networks.generator, memory.state, encoded_TLHW, options.backprop, options.finest_only)
        chunk = _chunk(clip, frames, encoded_TLHW[context:], made, memory.last_13HW)
        terms = likeness(chunk, self.losses, self.perceptual) | steadiness(chunk, self.losses)
        terms |= motion(chunk, self.losses, config.n_scales)

        new = range(frames.start - context, frames.stop - context)
        chosen, stores = temporal.choose(memory.stores, new, self.discriminators)
        past = {**memory.past, **dict(zip(new, made.image_T3HW, strict=True))}
        image_terms, image = self._judge_images(networks, chunk, options)
        motion_terms, judged = self._judge_motion(networks, Sequences(clip, context, past), chosen, options)
        terms |= image_terms | motion_terms

        total = torch.stack([term.weight * term.value for term in terms.values() if term.weight]).sum()
        logged = {name: term.value.detach() for name, term in terms.items()}
        kept = {number: past[number].detach() for store in stores for number in store}
        after = Memory(state, made.image_T3HW[-1:].detach(), stores, kept)
        return Losses(total, image, judged, logged), after, made.detach()

    def _judge_images(self, networks: Networks, chunk: Chunk, options: ChunkOptions) -> tuple[Terms, Tensor | None]:
        """Computes the generator's terms, and the loss of D and D_f."""
        weight = self.losses.adversarial * options.adversarial
        if not weight:
            return {}, None
        given, real, made = chunk.current_TLHW, chunk.real_T3HW, chunk.made.image_T3HW
        verdict = Verdict(weight, generator_times=BOTH, own_times=BOTH)
        matching = self.losses.feature_matching > 0
        found = judge(networks.D, _shown(given, real), [_shown(given, fake) for fake in chunk.fakes], matching)
        terms, loss = verdict.terms(found, self.losses, self.discriminators), verdict.own(found)
        if networks.D_f is None:
            return terms, loss
        crop = self.face or face_crop(networks.generator.config, real.shape[-2])
        if place := crop.find(given):
            verdict = Verdict(weight, "f_", generator_times=FACE)
            given, real, made = (x[:, :, place[0], place[1]] for x in (given, real, made))
            found = judge(networks.D_f, _shown(given, real), [_shown(given, made)], matching)
            terms |= verdict.terms(found, self.losses, self.discriminators)
            loss = loss + verdict.own(found)
        return terms, loss

    def _judge_motion(
        self, networks: Networks, frames: Sequences, chosen: Sequence[Sequence[temporal.Group]], options: ChunkOptions
    ) -> tuple[Terms, tuple[Tensor, ...]]:
        """Computes the generator's terms, and the losses of the temporal discriminators that have groups."""
        weight, terms, losses = self.losses.temporal * options.adversarial, Terms(), []
        for s, groups in enumerate(chosen if weight else ()):
            known = s == 0 or self.discriminators.sparse
            real_GCHW, made_GCHW = frames.pair(groups, None if known else self.flow)
            found = judge(networks.D_T[s], real_GCHW, [made_GCHW], self.losses.feature_matching > 0)
            verdict = Verdict(weight, "T_", str(s))
            terms |= verdict.terms(found, self.losses, self.discriminators)
            losses.append(verdict.own(found))
        return terms, tuple(losses)


def _shown(given_BLHW: Tensor, image_B3HW: Tensor) -> Tensor:
    """Joins what D sees: what the image was made from, then the image."""
    return torch.cat((given_BLHW, image_B3HW), dim=1)


def _chunk(clip: TrainingClip, frames: range, current_TLHW: Tensor, made: Rendered, last_13HW: Tensor) -> Chunk:
    now, before = slice(frames.start, frames.stop), slice(frames.start - 1, frames.stop - 1)
    return Chunk(
        current_TLHW,
        clip.real_T3HW[now],
        clip.real_T3HW[before],
        clip.flow_T2HW[now],
        clip.sure_T1HW[now],
        made,
        last_13HW,
        clip.starts_empty,
    )
