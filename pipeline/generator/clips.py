"""Whole clips in lock-step: conditioning in, frames out."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.generator.conditioning import encode
from pipeline.generator.networks import VideoGenerator
from pipeline.generator.rollout import RolloutState, start_empty, start_from, step

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Conditioning:
    """What one clip is rendered from, at the size it is rendered at."""

    label_THW: NDArray[np.integer]
    instance_THW: NDArray[np.integer] | None  # needed where the generator has an edge channel
    exemplar_HW3: NDArray[np.uint8] | None = None  # RGB; None: start from nothing


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
        label_BHW, instance_BHW = _frame([c.label_THW[t] for c in clips], device), None
        if config.use_instance:
            instance_BHW = _frame([c.instance_THW[t] for c in clips if c.instance_THW is not None], device)
        return encode(label_BHW, instance_BHW, config)

    window = deque((encoded(max(0, first - back)) for back in range(config.n_frames, 0, -1)), maxlen=config.n_frames)
    state = _start(generator, clips, window[0])
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


def _start(generator: VideoGenerator, clips: Sequence[Conditioning], like: Tensor) -> RolloutState:
    exemplars = [c.exemplar_HW3 for c in clips if c.exemplar_HW3 is not None]
    if not exemplars:
        return start_empty(generator.config, len(clips), (like.shape[-2], like.shape[-1]), like)
    if len(exemplars) != len(clips):
        raise ValueError(f"{len(exemplars)} of {len(clips)} clips in lock-step have an exemplar; all or none must")
    first_BHW3 = torch.from_numpy(np.stack(exemplars)).to(like.device)
    first_B3HW = first_BHW3.movedim(-1, 1).float() / 127.5 - 1
    repeated = first_B3HW[:, None].expand(-1, generator.config.n_frames - 1, -1, -1, -1)
    return start_from(generator.config, repeated)


def _to_uint8(image_B3HW: Tensor, frame: int) -> Tensor:
    """[-1, 1] -> 0..255 by truncation, as the original stores images; (B, H, W, 3) on the CPU."""
    finite = torch.isfinite(image_B3HW).flatten(1).all(dim=1)
    if not bool(finite.all()):
        raise ValueError(f"the generator gave values that are not finite at label frame {frame}")
    scaled = ((image_B3HW.float() + 1) / 2 * 255).clamp(0, 255)
    return scaled.to(torch.uint8).movedim(1, -1).cpu()
