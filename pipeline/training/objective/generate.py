"""Generates the frames of one chunk, with what gradients need (vid2vid-spec, section 10.3)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from flowreel.pipeline.generator.adaptive.generator import AdaptiveGenerator
from flowreel.pipeline.generator.families import AnyGenerator
from flowreel.pipeline.generator.rollout import RolloutState, start_empty, step
from flowreel.pipeline.training.objective.networks import Networks


@dataclass(frozen=True)
class Rendered:
    """The finest scale's frames of a chunk."""

    image_T3HW: Tensor  # blended result in [-1, 1]
    raw_T3HW: Tensor  # synthesised image before blending; the very same tensor where nothing is blended
    flow_T2HW: Tensor | None  # backward flow t -> t-1, pixels (x, y)
    weight_T1HW: Tensor | None  # weight of the synthesised image against the warped one, in [0, 1]

    def detach(self) -> "Rendered":
        """Gives the same frames without gradients."""
        flow, weight = (None if x is None else x.detach() for x in (self.flow_T2HW, self.weight_T1HW))
        return Rendered(self.image_T3HW.detach(), self.raw_T3HW.detach(), flow, weight)

    def where(self, known_T1HW: Tensor | None, real_T3HW: Tensor) -> "Rendered":
        """Gives the same frames with real ones where pixels are not known: nothing can be learnt there."""
        if known_T1HW is None:
            return self
        image_T3HW = torch.where(known_T1HW, self.image_T3HW, real_T3HW)
        same = self.raw_T3HW is self.image_T3HW
        raw_T3HW = image_T3HW if same else torch.where(known_T1HW, self.raw_T3HW, real_T3HW)
        return replace(self, image_T3HW=image_T3HW, raw_T3HW=raw_T3HW)


def generate(
    generator: AnyGenerator, state: RolloutState, encoded_TLHW: Tensor, backprop: int, finest_only: bool
) -> tuple[RolloutState, Rendered]:
    """Renders all frames of ``encoded_TLHW`` but the first T-1, which are context; the new state is detached.

    Every ``backprop``-th frame sees its history as given; gradients of the others reach into the frames before them.
    Where the state is empty, no frame of the chunk is blended. ``finest_only``: coarser scales are constant.
    """
    window, frames = generator.config.n_frames, []
    raw_only = state.raw_only
    with _constant(generator.scales[:-1] if finest_only else ()):
        for t in range(len(encoded_TLHW) - window + 1):
            seen = replace(_detached(state) if t % backprop == 0 else state, raw_only=raw_only)
            after, frame = step(generator, seen, encoded_TLHW[None, t : t + window])
            newest = [history_BPHW[:, -3:] for history_BPHW in after.history]
            state = after if state.raw_only else state.after(newest)  # families differ in what was before the first
            frames.append(frame)
    image_T3HW = torch.cat([frame.image_B3HW for frame in frames])
    blended = any(frame.raw_B3HW is not frame.image_B3HW for frame in frames)
    raw_T3HW = torch.cat([frame.raw_B3HW for frame in frames]) if blended else image_T3HW
    flow_T2HW, weight_T1HW = (_joined(f.flow_B2HW for f in frames), _joined(f.weight_B1HW for f in frames))
    return _detached(state), Rendered(image_T3HW, raw_T3HW, flow_T2HW, weight_T1HW)


def generate_alone(networks: Networks, encoded_TLHW: Tensor, half: bool) -> Rendered:
    """Renders each frame as the first one of a clip. ``half``: at half the size, by a class-adaptive generator."""
    generator, config = networks.generator, networks.generator.config
    if half:
        assert networks.half_size and isinstance(generator, AdaptiveGenerator)
        image_T3HW = networks.half_size(generator, encoded_TLHW)
    else:
        size = (encoded_TLHW.shape[-2], encoded_TLHW.shape[-1])
        window_BTLHW = encoded_TLHW[:, None].expand(-1, config.n_frames, -1, -1, -1)
        _, frame = step(generator, start_empty(config, len(encoded_TLHW), size, encoded_TLHW), window_BTLHW)
        image_T3HW = frame.image_B3HW
    return Rendered(image_T3HW, image_T3HW, None, None)


def _detached(state: RolloutState) -> RolloutState:
    return replace(state, history=tuple(history_BPHW.detach() for history_BPHW in state.history))


def _joined(parts: Iterable[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.cat(present) if present else None


@contextmanager
def _constant(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Makes what these networks give within the block constant: it has no gradient."""
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
