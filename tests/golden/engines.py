"""What renders a reference file's clips: Flowreel's engines, all by one loop over a clip's frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from flowreel.pipeline.generator import engine
from flowreel.pipeline.generator.conditioning import check_ids, encode_frames
from flowreel.pipeline.generator.fast.engine import FastEngine
from flowreel.pipeline.generator.first_frames import FirstFrameStyle, first_frames
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.generator.rollout import RolloutState, start_empty, start_from


@dataclass(frozen=True)
class Clip:
    """One sequence of a file, as it is given to an engine."""

    frames: Tensor  # label ids (T, H, W), or pictures (T, L, H, W) in the network's range
    instance_THW: Tensor | None
    first_T3HW: Tensor | None  # T-1 real frames in [-1, 1]
    part_THW: Tensor | None  # their part labels: they are only shown to the encoder
    begin: str  # "real": from ``first_T3HW``; "single": from generated ones; "zero": from nothing

    def instance_BHW(self, t: int) -> Tensor | None:
        return None if self.instance_THW is None else self.instance_THW[t : t + 1]


# A clip's outputs by the names of section 12.2, (frames, channels, height, width); first_generated if there are any.
Engine = Callable[[VideoGenerator, Clip], dict[str, Tensor]]


def rendered(
    made: Callable[[VideoGenerator], engine.Engine], generator: VideoGenerator, clip: Clip
) -> dict[str, Tensor]:
    """Frame by frame by one of Flowreel's engines, which looks as far ahead as it likes."""
    renderer, config = made(generator), generator.config
    if config.label_nc:
        check_ids(clip.frames, config)
    state, first_T3HW = _start(generator, clip)
    outputs = {} if first_T3HW is None else {"first_generated": list(first_T3HW)}
    for looked in _looked(renderer, clip):
        state, out = renderer.step(state, looked)
        found = {"final": out.image_B3HW, "flow": out.flow_B2HW, "weight": out.weight_B1HW, "raw": out.raw_B3HW}
        found |= {f"final_scale{s}": state.history[s][:, -3:] for s in range(config.n_scales - 1)}
        for name, value in found.items():
            if value is not None:
                outputs.setdefault(name, []).append(value[0])
    return {name: torch.stack(frames) for name, frames in outputs.items()}


def _start(generator: VideoGenerator, clip: Clip) -> tuple[RolloutState, Tensor | None]:
    """The state before the first frame, and the frames that the single-image generator made for it."""
    config, like = generator.config, next(generator.parameters())
    before, first = config.n_frames - 1, None if clip.first_T3HW is None else clip.first_T3HW[None]
    if clip.begin == "zero":
        return start_empty(config, 1, (clip.frames.shape[-2], clip.frames.shape[-1]), like), None
    if clip.begin != "single":
        assert first is not None
        return start_from(config, first), None
    looks = None if first is None or clip.part_THW is None else FirstFrameStyle(first, clip.part_THW[None])
    instance_THW = None if clip.instance_THW is None else clip.instance_THW[:before]
    encoded_TLHW = encode_frames(clip.frames[:before], instance_THW, config).to(like.dtype)
    generated_BT3HW = first_frames(generator, encoded_TLHW[None], looks)
    return start_from(config, generated_BT3HW), generated_BT3HW[0]


def _looked(renderer: engine.Engine, clip: Clip) -> Iterator[Any]:
    """What the engine makes of each window of T frames before it renders the last of them."""
    encoded = [renderer.encode(clip.frames[t : t + 1], clip.instance_BHW(t)) for t in range(len(clip.frames))]
    size = renderer.config.n_frames
    windows = [encoded[t : t + size] for t in range(len(encoded) - size + 1)]
    for i in range(0, len(windows), renderer.ahead):
        yield from renderer.prepare(windows[i : i + renderer.ahead])


plain: Engine = partial(rendered, engine.PlainEngine)
ENGINES: dict[str, Engine] = {"plain": plain, "fast": partial(rendered, FastEngine)}
