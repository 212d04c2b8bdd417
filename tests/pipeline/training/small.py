"""A small generator with its discriminators, and a clip for it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.pipeline.training.objective.networks import Networks, build
from flowreel.pipeline.training.objective.objective import ChunkOptions, Losses, Memory, Objective, start
from flowreel.schemas.training import DiscriminatorSpec, LossSpec

SIDE, CLASSES = 32, 3
JUDGES = DiscriminatorSpec(members=1, layers=2, width=4, temporal_frames=2)


def config(**changes: Any) -> GeneratorConfig:
    tree: dict[str, Any] = {
        "label_nc": CLASSES,
        "use_instance": False,
        "fg_labels": (),
        "ngf": 4,
        "n_downsample": 1,
        "n_blocks": 2,
        "n_blocks_local": 1,
    }
    return GeneratorConfig(**tree | changes)


def networks(spec: DiscriminatorSpec = JUDGES, **changes: Any) -> Networks:
    torch.manual_seed(0)
    return build(config(**changes), spec)


def clip(frames: int = 8, starts_empty: bool = False) -> TrainingClip:
    seeded = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=seeded)

    label_THW = torch.randint(CLASSES, (frames, SIDE, SIDE), generator=seeded)
    real_T3HW, flow_T2HW = drawn(frames, 3, SIDE, SIDE) * 2 - 1, drawn(frames, 2, SIDE, SIDE) * 4 - 2
    sure_T1HW = (drawn(frames, 1, SIDE, SIDE) < 0.5).float()
    return TrainingClip(label_THW, None, real_T3HW, flow_T2HW, sure_T1HW, starts_empty)


def still(current_B3HW: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(current_B3HW[:, :2]), torch.ones_like(current_B3HW[:, :1])


@dataclass(frozen=True)
class Walk:
    """One clip, load by load."""

    networks: Networks
    clip: TrainingClip
    objective: Objective

    def loads(self, count: int, size: int = 2, how: ChunkOptions | None = None) -> list[tuple[Losses, Memory]]:
        memory, found = start(self.networks, self.clip), []
        for first in range(2, 2 + count * size, size):
            frames = range(first, first + size)
            losses, memory, _ = self.objective(self.networks, self.clip, frames, memory, how or ChunkOptions())
            found.append((losses, memory))
        return found


def walk(spec: DiscriminatorSpec = JUDGES, starts_empty: bool = False, scales: int = 1, **losses: Any) -> Walk:
    """``losses``: fields of LossSpec."""
    objective = Objective(LossSpec(**losses), spec, still)
    return Walk(networks(spec, n_scales=scales), clip(starts_empty=starts_empty), objective)
