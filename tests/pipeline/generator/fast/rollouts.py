"""Small networks and clips that the tests of the whole engine share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.engine import Engine
from flowreel.pipeline.generator.layers import ClipNorm
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.generator.rollout import Frame, RolloutState, start_empty, start_from

from .maps import FOREGROUND, IDS, numbers

SMALL: dict[str, Any] = {"ngf": 4, "n_downsample": 2, "n_blocks": 2, "n_blocks_local": 1}
SIZE = (32, 48)  # height, width


def build(config: GeneratorConfig, kind: torch.dtype = torch.float32, seed: int = 0) -> VideoGenerator:
    """With random shifts of norms: were they 0, an empty history would become a map of rounding errors, enlarged."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = VideoGenerator(config).requires_grad_(False)
        for norm in (module for module in generator.modules() if isinstance(module, ClipNorm)):
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_(0, 0.5)
    return generator.to(kind)


@dataclass(frozen=True)
class Clips:
    """B clips of T frames as engines are given them."""

    frames: Tensor  # (B, T, H, W) label ids or (B, T, L, H, W) pictures
    instance_BTHW: Tensor

    def __len__(self) -> int:
        return len(self.frames)

    def part(self, *which: int) -> "Clips":
        return Clips(self.frames[list(which)], self.instance_BTHW[list(which)])


def clips(config: GeneratorConfig, count: int = 1, length: int = 6, size: tuple[int, int] = SIZE) -> Clips:
    """Areas of 8 x 8 pixels with a different id in each frame; only every other frame has any foreground."""
    rng = np.random.default_rng(1)
    shape = (count, length, -(-size[0] // 8), -(-size[1] // 8))
    ones = np.ones((8, 8), np.int32)
    others = [i for i in range(IDS) if i not in config.fg_labels]
    label_BTHW = np.kron(rng.choice(others, shape), ones)[:, :, : size[0], : size[1]].astype(np.int32)
    for b in range(count):
        for t in range(b % 2, length, 2):
            y, x = rng.integers(0, 20, 2)
            label_BTHW[b, t, y : y + 9, x : x + 13] = FOREGROUND
    instance_BTHW = torch.from_numpy(np.kron(rng.integers(0, 3, shape), ones)[:, :, : size[0], : size[1]].copy())
    if config.label_nc:
        return Clips(torch.from_numpy(label_BTHW), instance_BTHW)
    picture_BTLHW = numbers(count, length, config.input_nc, *size, kind=torch.float32).clamp(-1, 1)
    for channel in config.fg_labels:  # of a picture: that channel's value is the mask
        picture_BTLHW[:, :, channel] = torch.from_numpy(label_BTHW == FOREGROUND).float() * 0.7
    return Clips(picture_BTLHW, instance_BTHW)


def empty(engine: Engine, batch: int, size: tuple[int, int] = SIZE) -> RolloutState:
    return start_empty(engine.config, batch, size, next(engine.generator.parameters()))


def given(engine: Engine, batch: int, size: tuple[int, int] = SIZE) -> RolloutState:
    """From first frames."""
    like = next(engine.generator.parameters())
    first_BT3HW = numbers(batch, engine.config.n_frames - 1, 3, *size, seed=4).clamp(-1, 1)
    return start_from(engine.config, first_BT3HW.to(like))


def windows(engine: Engine, given: Clips) -> Iterator[tuple[Any, ...]]:
    """T encoded frames each; all clips begin with their first frame repeated, as render_clips does."""
    before, length = engine.config.n_frames - 1, given.frames.shape[1]
    instances = given.instance_BTHW if engine.config.use_instance else None
    encoded = [engine.encode(given.frames[:, t], None if instances is None else instances[:, t]) for t in range(length)]
    encoded = [encoded[0]] * before + encoded
    return (tuple(encoded[t : t + before + 1]) for t in range(length))


@torch.inference_mode()
def rolled(
    engine: Engine, given: Clips, state: RolloutState | None = None, ahead: int | None = None
) -> tuple[list[Frame], RolloutState]:
    """All frames, and the state after the last."""
    state = state or empty(engine, len(given), (given.frames.shape[-2], given.frames.shape[-1]))
    frames, left = [], windows(engine, given)
    while together := list(islice(left, ahead or engine.ahead)):
        for looked in engine.prepare(together):
            state, frame = engine.step(state, looked)
            frames.append(frame)
    return frames, state


def tensors(frames: Sequence[Frame], state: RolloutState) -> dict[str, Tensor]:
    """All that a rollout gives, (B, ...) each."""
    found = {f"history {s}": history for s, history in enumerate(state.history)}
    for t, frame in enumerate(frames):
        parts = {"image": frame.image_B3HW, "raw": frame.raw_B3HW}
        parts |= {"flow": frame.flow_B2HW, "weight": frame.weight_B1HW}
        found |= {f"{name} {t}": value for name, value in parts.items() if value is not None}
    return found


def identical(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit; what is not a number equals nothing."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def furthest(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """The largest difference of any value."""
    assert a.keys() == b.keys()
    assert all(a[name].shape == b[name].shape for name in a)
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)
