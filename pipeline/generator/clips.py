"""Whole clips in lock-step: conditioning in, frames out."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.generator.conditioning import encode, encode_pictures
from pipeline.generator.first_frames import Looks, first_frames
from pipeline.generator.images import from_uint8, to_uint8
from pipeline.generator.networks import VideoGenerator
from pipeline.generator.rollout import RolloutState, start_empty, start_from, step

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Conditioning:
    """What one clip is rendered from, at the size it is rendered at.

    It starts from its first real frames, or an exemplar, or frames that the generator's single-image generator makes,
    or nothing: the first of these that there is.
    """

    label_THW: NDArray[np.integer]
    instance_THW: NDArray[np.integer] | None  # needed where the generator has an edge channel
    exemplar_HW3: NDArray[np.uint8] | None = None  # RGB, stands for all first frames
    first_THW3: NDArray[np.uint8] | None = None  # RGB, the T-1 real frames before the one that is rendered first
    part_THW: NDArray[np.integer] | None = None  # their part labels: the generator makes frames that look like them
    picture_TLHW: NDArray[np.float32] | None = None  # for generators with label_nc 0: as many frames as label_THW


@dataclass(frozen=True)
class ClipFrames:
    """One rendered clip: as many frames as are published, ``first`` is the label frame of the first one."""

    first: int
    image_THW3: NDArray[np.uint8]  # RGB
    flow_THW2: NDArray[np.float32] | None  # backward flow t -> t-1, pixels (x, y); frame 0 has no frame before it


@dataclass(frozen=True)
class How:
    """Settings of a rendering."""

    precision: str = "float32"
    lead_in: Literal["repeat", "drop"] = "repeat"
    flow: bool = False  # keep the flow too


@torch.inference_mode()
def render_clips(
    generator: VideoGenerator, clips: Sequence[Conditioning], how: How, tick: Callable[[int], None] | None = None
) -> list[ClipFrames]:
    """Renders clips of one length, all with or all without exemplar; ``tick(n)`` is told of n more frames.

    Raises ValueError naming the frame if the network gives values that are not finite.
    """
    config, device = generator.config, generator.device
    length = _length(clips)
    first = 0 if how.lead_in == "repeat" else config.n_frames - 1

    def encoded(t: int) -> Tensor:
        """Frame t of all clips, (B, L, H, W); made when it is needed, a one-hot map is large."""
        instance_BHW = None
        if config.use_instance:
            instance_BHW = _frame([c.instance_THW[t] for c in clips if c.instance_THW is not None], device)
        if pictures := _of_all(clips, "picture_TLHW", "pictures"):
            return encode_pictures(
                torch.from_numpy(np.stack([p[t] for p in pictures])).to(device), instance_BHW, config
            )
        return encode(_frame([c.label_THW[t] for c in clips], device), instance_BHW, config)

    window = deque((encoded(max(0, first - back)) for back in range(config.n_frames, 0, -1)), maxlen=config.n_frames)
    state = _start(generator, clips, torch.stack(tuple(window)[1:], dim=1))
    images: list[Tensor] = []
    flows: list[Tensor] = []
    with torch.autocast(device.type, DTYPES[how.precision], enabled=how.precision != "float32"):
        for t in range(first, length):
            window.append(encoded(t))
            state, out = step(generator, state, torch.stack(tuple(window), dim=1))
            images.append(_to_uint8(out.image_B3HW, t))
            if how.flow and out.flow_B2HW is not None:
                flows.append(out.flow_B2HW.float().movedim(1, -1).cpu())
            if tick:
                tick(len(clips))
    image_BTHW3 = torch.stack(images, dim=1).numpy()
    flow_BTHW2 = torch.stack(flows, dim=1).numpy() if flows else None
    return [ClipFrames(first, image_BTHW3[b], None if flow_BTHW2 is None else flow_BTHW2[b]) for b in range(len(clips))]


def _length(clips: Sequence[Conditioning]) -> int:
    lengths = {len(c.label_THW) for c in clips}
    if len(lengths) != 1:
        raise ValueError(f"clips in lock-step must have one length, have {sorted(lengths)}")
    return lengths.pop()


def _frame(maps: Sequence[NDArray[np.integer]], device: torch.device) -> Tensor:
    """One frame of all clips, (B, H, W)."""
    return torch.from_numpy(np.stack(maps).astype(np.int32)).to(device)


def _of_all(clips: Sequence[Conditioning], name: str, what: str) -> list[NDArray[Any]]:
    """A field of all clips, empty if none has it."""
    there = [value for clip in clips if (value := getattr(clip, name)) is not None]
    if there and len(there) != len(clips):
        raise ValueError(f"{len(there)} of {len(clips)} clips in lock-step have {what}; all or none must")
    return there


def _start(generator: VideoGenerator, clips: Sequence[Conditioning], before_BTLHW: Tensor) -> RolloutState:
    """``before_BTLHW``: the T-1 encoded frames before the one that is rendered first."""
    config, device = generator.config, before_BTLHW.device
    first, part = _of_all(clips, "first_THW3", "first frames"), _of_all(clips, "part_THW", "part labels")
    if not first and (exemplars := _of_all(clips, "exemplar_HW3", "an exemplar")):
        first = [np.broadcast_to(e, (config.n_frames - 1, *e.shape)) for e in exemplars]
    looks = None
    if first:
        first_BT3HW = from_uint8(torch.from_numpy(np.stack(first)).to(device).movedim(-1, 2))
        if not part:
            return start_from(config, first_BT3HW)
        looks = Looks(first_BT3HW, torch.from_numpy(np.stack(part).astype(np.int64)).to(device))
    if config.single:
        return start_from(config, first_frames(generator, before_BTLHW, looks))
    return start_empty(config, len(clips), (before_BTLHW.shape[-2], before_BTLHW.shape[-1]), before_BTLHW)


def _to_uint8(image_B3HW: Tensor, frame: int) -> Tensor:
    """(B, H, W, 3) on the CPU. Raises ValueError for values that are not finite."""
    finite = torch.isfinite(image_B3HW).flatten(1).all(dim=1)
    if not bool(finite.all()):
        raise ValueError(f"the generator gave values that are not finite at label frame {frame}")
    return to_uint8(image_B3HW).movedim(1, -1).cpu()
