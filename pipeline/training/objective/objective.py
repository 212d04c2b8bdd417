"""The objective that is minimised on one chunk of a clip, for all networks (vid2vid, section 3.2; vid2vid-spec, section
10.5).

One clip at a time: a chunk's frames are the discriminators' batch. ``step.py`` differentiates the losses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from flowreel.pipeline.generator.rollout import RolloutState, start_empty, start_from
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.pipeline.training.objective import temporal_groups as temporal
from flowreel.pipeline.training.objective.face_crop import FaceCrop, face_crop
from flowreel.pipeline.training.objective.frame_groups import FlowBetween, Sequences
from flowreel.pipeline.training.objective.generate import Rendered, generate, generate_alone
from flowreel.pipeline.training.objective.losses import judge
from flowreel.pipeline.training.objective.networks import Networks
from flowreel.pipeline.training.objective.perceptual import Perceptual
from flowreel.pipeline.training.objective.segmentation import SegmentationLoss
from flowreel.pipeline.training.objective.terms import BOTH, Chunk, Terms, Verdict, likeness, motion, steadiness
from flowreel.schemas.training import DiscriminatorSpec, LossSpec

FACE = 2.0  # the generator's face terms count double


@dataclass(frozen=True)
class ChunkOptions:
    """The schedule's settings for a chunk."""

    adversarial: float = 1.0  # factor in [0, 1] of all discriminators' terms; 0: none of them is used or trained
    backprop: int = 1  # frames that gradients flow back
    finest_only: bool = False  # coarser scales are not trained
    half: bool = False  # frames that are made from nothing have half the size
    perceptual: bool = True  # the perceptual term is computed


@dataclass(frozen=True)
class Losses:
    """The losses to differentiate, each by its own networks' weights alone."""

    generator: Tensor
    image: Tensor | None  # of D, D_f and D_S; None: they were not used
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
    before = 1 if clip.apart else config.n_frames - 1
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
    segmentation: SegmentationLoss | None = None  # for D_S, where there is one

    def __call__(
        self, networks: Networks, clip: TrainingClip, frames: range, memory: Memory, options: ChunkOptions
    ) -> tuple[Losses, Memory, Rendered]:
        """Computes the losses of the new ``frames`` (indices in the clip); the T-1 frames before them are context.

        Chunks of a clip come in order, each with the memory that the one before it returned.
        """
        config = networks.generator.config
        context = 0 if clip.apart else config.n_frames - 1
        encoded_TLHW = clip.encoded(frames.start - context, frames.stop, config).to(clip.real_T3HW.dtype)
        state, shown = memory.state, _frames_of(clip, frames)
        if clip.apart:
            made = generate_alone(networks, encoded_TLHW, options.half)
            shown, encoded_TLHW = _halved(shown, encoded_TLHW) if options.half else (shown, encoded_TLHW)
        else:
            state, made = generate(networks.generator, state, encoded_TLHW, options.backprop, options.finest_only)
        judged = made.where(shown.known_T1HW, shown.real_T3HW)
        chunk = replace(shown, current_TLHW=encoded_TLHW[context:], made=judged, last_13HW=memory.last_13HW)
        terms = likeness(chunk, self.losses, self.perceptual if options.perceptual else None)
        terms |= {} if clip.apart else steadiness(chunk, self.losses) | motion(chunk, self.losses, config.n_scales)

        new = range(frames.start - context, frames.stop - context)
        chosen, stores = ([], ()) if clip.apart else temporal.choose(memory.stores, new, self.discriminators)
        past = {**memory.past, **dict(zip(new, judged.image_T3HW, strict=True))}
        image_terms, image = self._judge_images(networks, chunk, options)
        motion_terms, motions = self._judge_motion(networks, Sequences(clip, context, past), chosen, options)
        terms |= image_terms | motion_terms

        total = torch.stack([term.weight * term.value for term in terms.values() if term.weight]).sum()
        logged = {name: term.value.detach() for name, term in terms.items()}
        kept = {number: past[number].detach() for store in stores for number in store}
        after = Memory(state, made.image_T3HW[-1:].detach(), stores, kept)
        return Losses(total, image, motions, logged), after, made.detach()

    def _judge_images(self, networks: Networks, chunk: Chunk, options: ChunkOptions) -> tuple[Terms, Tensor | None]:
        """Computes the generator's terms, and the loss of D, D_f and D_S."""
        weight, terms, losses = self.losses.adversarial * options.adversarial, Terms(), list[Tensor]()
        if weight and self.discriminators.members:
            terms, loss = self._judge_patches(networks, chunk, weight)
            losses.append(loss)
        if options.adversarial and networks.D_S and self.segmentation:
            more, loss = self.segmentation(networks.D_S, chunk, options.adversarial)
            terms |= more
            losses.append(loss)
        return terms, sum(losses[1:], losses[0]) if losses else None

    def _judge_patches(self, networks: Networks, chunk: Chunk, weight: float) -> tuple[Terms, Tensor]:
        """Computes the generator's terms, and the loss of D and D_f."""
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


def _frames_of(clip: TrainingClip, frames: range) -> Chunk:
    """Gives the real side of a chunk; nothing is made yet."""
    now, before = slice(frames.start, frames.stop), slice(frames.start - 1, frames.stop - 1)
    nothing = clip.real_T3HW[:0]
    return Chunk(
        current_TLHW=nothing,
        real_T3HW=clip.real_T3HW[now],
        before_T3HW=nothing if clip.apart else clip.real_T3HW[before],
        flow_T2HW=clip.flow_T2HW[now],
        sure_T1HW=clip.sure_T1HW[now],
        made=Rendered(nothing, nothing, None, None),
        last_13HW=nothing,
        starts_empty=clip.starts_empty,
        label_THW=clip.frames[now] if clip.frames.ndim == 3 else None,
        known_T1HW=None if clip.known_T1HW is None else clip.known_T1HW[now],
    )


def _halved(shown: Chunk, encoded_TLHW: Tensor) -> tuple[Chunk, Tensor]:
    """Halves the size of what is given for frames from nothing."""
    label_THW, known_T1HW = (None if x is None else x[..., ::2, ::2] for x in (shown.label_THW, shown.known_T1HW))
    real_T3HW = F.avg_pool2d(shown.real_T3HW, 2)
    return replace(shown, real_T3HW=real_T3HW, label_THW=label_THW, known_T1HW=known_T1HW), encoded_TLHW[..., ::2, ::2]
