"""Renders whole clips in lock-step: conditioning in, frames out."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowreel.pipeline.generator.clip_data import ClipFrames, Conditioning
from flowreel.pipeline.generator.conditioning import check_ids, encode_frames, from_uint8, to_uint8
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.generator.engine import Engine
from flowreel.pipeline.generator.families import AnyGenerator
from flowreel.pipeline.generator.first_frames import FirstFrameStyle, first_frames
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.generator.rollout import RolloutState, start_empty, start_from


@dataclass(frozen=True)
class RenderOptions:
    """Options of a rendering."""

    lead_in: Literal["repeat", "drop"] = "repeat"
    flow: bool = False  # keep the flow too


@dataclass(frozen=True)
class Segment:
    """Frames of clips in lock-step, and the state that the frame after them needs."""

    start: int  # label frame of the first one
    image_BTHW3: NDArray[np.uint8]
    flow_BTHW2: NDArray[np.float32] | None
    state: RolloutState

    @property
    def stop(self) -> int:
        """Gives the label frame after the last one."""
        return self.start + self.image_BTHW3.shape[1]


def render_clips(
    engine: Engine, clips: Sequence[Conditioning], options: RenderOptions, tick: Callable[[int], None] | None = None
) -> list[ClipFrames]:
    """Renders clips of one length, all with or all without exemplar; ``tick(n)`` is called for every n more frames.

    Raises ValueError naming the frame if the network gives values that are not finite, or naming the nearest sizes if
    it cannot take the clips' size.
    """
    return joined(list(render_segments(engine, clips, options, tick)))


@torch.inference_mode()
def render_segments(
    engine: Engine,
    clips: Sequence[Conditioning],
    options: RenderOptions,
    tick: Callable[[int], None] | None = None,
    every: int | None = None,
    after: Segment | None = None,
) -> Iterator[Segment]:
    """Yields `render_clips` in segments of ``every`` frames, or in one. ``after``: the segment to continue from.

    A GPU is only waited for at the end of a segment: until then frames stay there, and nothing asks for their values.
    """
    generator, config, length = engine.generator, engine.config, _length(clips)
    config.check_size(clips[0].label_THW.shape[2], clips[0].label_THW.shape[1])
    for clip in clips if config.label_nc else ():
        check_ids(clip.label_THW, config)
    first = after.stop if after else first_frame(options, config)
    before = range(first - config.n_frames + 1, first)
    frames = (engine.encode(*_frame_inputs(clips, max(0, t), generator)) for t in range(before.start, length))
    state = after.state if after else _start(generator, clips, before)
    images: list[Tensor] = []
    finite: list[Tensor] = []
    flows: list[Tensor] = []
    for t, prepared in enumerate(_prepared(engine, frames), start=first):
        state, frame = engine.step(state, prepared)
        images.append(to_uint8(frame.image_B3HW).movedim(1, -1))
        finite.append(torch.isfinite(frame.image_B3HW).all())
        if options.flow and config.flow:  # a frame from nothing may have none: nothing moved
            flow_B2HW = torch.zeros_like(frame.image_B3HW[:, :2]) if frame.flow_B2HW is None else frame.flow_B2HW
            flows.append(flow_B2HW.float().movedim(1, -1))
        if tick:
            tick(len(clips))
        if len(images) == every or t == length - 1:
            start = t + 1 - len(images)
            _check_finite(finite, start)
            yield Segment(start, _stack_frames(images), _stack_frames(flows) if flows else None, state)
            images, finite, flows = [], [], []


def first_frame(options: RenderOptions, config: AnyConfig) -> int:
    """Gives the label frame that is rendered first."""
    return 0 if options.lead_in == "repeat" else config.n_frames - 1


def joined(segments: Sequence[Segment]) -> list[ClipFrames]:
    """Joins segments, in order, to whole clips."""
    image_BTHW3 = np.concatenate([segment.image_BTHW3 for segment in segments], axis=1)
    flows = [segment.flow_BTHW2 for segment in segments if segment.flow_BTHW2 is not None]
    flow_BTHW2 = np.concatenate(flows, axis=1) if flows else None
    clips = zip(image_BTHW3, flow_BTHW2 if flow_BTHW2 is not None else [None] * len(image_BTHW3), strict=True)
    return [ClipFrames(segments[0].start, image, flow) for image, flow in clips]


def _prepared(engine: Engine, frames: Iterator[Any]) -> Iterator[Any]:
    """Yields what the engine prepares of each window of T frames, as far ahead as it likes: encoded frames are
    large."""
    window = deque(islice(frames, engine.config.n_frames - 1), maxlen=engine.config.n_frames)
    while True:
        windows = []
        for frame in islice(frames, engine.ahead):
            window.append(frame)
            windows.append(tuple(window))
        if not windows:
            return
        yield from engine.prepare(windows)


def _frame_inputs(clips: Sequence[Conditioning], t: int, generator: AnyGenerator) -> tuple[Tensor, Tensor | None]:
    """Gives frame t of all clips as engines encode it: labels (B, H, W) or pictures (B, L, H, W); instances (B, H,
    W)."""
    device, instance_BHW = generator.device, None
    if generator.config.use_instance:
        instance_BHW = _frame([c.instance_THW[t] for c in clips if c.instance_THW is not None], device)
    if pictures := _of_all(clips, "picture_TLHW", "pictures"):
        return _on(device, np.stack([p[t] for p in pictures])), instance_BHW
    return _frame([c.label_THW[t] for c in clips], device), instance_BHW


def _length(clips: Sequence[Conditioning]) -> int:
    """Gives the clips' length. Raises ValueError if they differ."""
    lengths = {len(c.label_THW) for c in clips}
    if len(lengths) != 1:
        raise ValueError(f"clips in lock-step must have one length, have {sorted(lengths)}")
    return lengths.pop()


def _frame(maps: Sequence[NDArray[np.integer]], device: torch.device) -> Tensor:
    """Stacks one frame of all clips, (B, H, W)."""
    return _on(device, np.stack(maps).astype(np.int32))


def _on(device: torch.device, values: NDArray[Any]) -> Tensor:
    """Moves values to a device, through pinned memory to a GPU, which need not be waited for."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _of_all(clips: Sequence[Conditioning], name: str, what: str) -> list[NDArray[Any]]:
    """Gives a field of all clips, empty if none has it. Raises ValueError if only some have it."""
    found = [value for clip in clips if (value := getattr(clip, name)) is not None]
    if found and len(found) != len(clips):
        raise ValueError(f"{len(found)} of {len(clips)} clips in lock-step have {what}; all or none must")
    return found


def _start(generator: AnyGenerator, clips: Sequence[Conditioning], before: range) -> RolloutState:
    """Makes the state before the first rendered frame.

    ``before``: the T-1 frames before it; those before the clip are its first frame.
    """
    config, device = generator.config, generator.device
    first, part = _of_all(clips, "first_THW3", "first frames"), _of_all(clips, "part_THW", "part labels")
    if not first and (exemplars := _of_all(clips, "exemplar_HW3", "an exemplar")):
        first = [np.broadcast_to(e, (config.n_frames - 1, *e.shape)) for e in exemplars]
    style = None
    if first:
        first_BT3HW = from_uint8(torch.from_numpy(np.stack(first)).to(device).movedim(-1, 2))
        if not part:
            return start_from(config, first_BT3HW)
        style = FirstFrameStyle(first_BT3HW, torch.from_numpy(np.stack(part).astype(np.int64)).to(device))
    if isinstance(generator, VideoGenerator) and config.single:
        encoded = [encode_frames(*_frame_inputs(clips, max(0, t), generator), config) for t in before]
        return start_from(config, first_frames(generator, torch.stack(encoded, dim=1), style))
    like = next(generator.parameters())
    return start_empty(config, len(clips), clips[0].label_THW.shape[1:], like)


def _stack_frames(frames: Sequence[Tensor]) -> NDArray[Any]:
    """Stacks frames (B, ...) to (B, T, ...) on the CPU."""
    return torch.stack(tuple(frames), dim=1).cpu().numpy()


def _check_finite(finite: Sequence[Tensor], start: int) -> None:
    """Raises ValueError naming the first frame with values that are not finite.

    ``finite``: for each frame from label frame ``start`` on, whether all its values are.
    """
    good = torch.stack(tuple(finite)).tolist()
    if not all(good):
        raise ValueError(f"the generator gave values that are not finite at label frame {start + good.index(False)}")
