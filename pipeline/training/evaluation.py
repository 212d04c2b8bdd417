"""Evaluates the averaged generator on a sequence that it is not trained on: figures, and a video to look at."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline import pictures
from flowreel.pipeline.generator.clip_data import ClipFrames, Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import engine_for
from flowreel.pipeline.generator.families import AnyGenerator
from flowreel.pipeline.quality import warp_errors
from flowreel.pipeline.storage import Store
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.schemas.label_space import LabelSpace

FOLDER = "samples"
_MOMENTS = 4  # frames on the still picture

Figures = dict[str, float]
L1_NAMES = frozenset({"held_out_l1", "trained_on_l1"})  # of `evaluate`'s figures in the log


def evaluate(generator: AnyGenerator, clip: TrainingClip, empty: bool) -> tuple[Figures, ClipFrames]:
    """Renders the clip's labels, from nothing if ``empty``, else from its first real frame as an exemplar.

    ``shown_l1``: mean absolute difference from the real frames in [-1, 1]; ``shown_warp_error`` and
    ``real_warp_error``: means over frames, as published datasets have them.
    """
    frames = render_clips(
        engine_for(generator), [_conditioning(clip, empty)], RenderOptions(flow=generator.config.flow)
    )[0]
    real_THW3 = _real(clip)
    difference = np.abs(frames.image_THW3.astype(np.float32) - real_THW3).mean() / 127.5
    figures = {
        "shown_l1": float(difference),
        "shown_warp_error": _mean(warp_errors(frames.image_THW3)),
        "real_warp_error": _mean(warp_errors(real_THW3)),
    }
    return {name: round(value, 5) for name, value in figures.items()}, frames


def save_sample(store: Store, step: int, clip: TrainingClip, frames: ClipFrames, space: LabelSpace, fps: float) -> None:
    """Writes label | render | real | flow as H.264, and some frames of it as PNG, below ``samples/``."""
    shown = _panels(clip, frames, space)
    store.write(f"{FOLDER}/{step:09d}.mp4", pictures.h264(shown, fps))
    moments = np.linspace(0, len(shown) - 1, _MOMENTS).round().astype(int)
    sink = io.BytesIO()
    Image.fromarray(np.concatenate([shown[t] for t in moments])).save(sink, "PNG", optimize=True)
    store.write(f"{FOLDER}/{step:09d}.png", sink.getvalue())


def _conditioning(clip: TrainingClip, empty: bool) -> Conditioning:
    given, exemplar = clip.frames.numpy(), None if empty else _real(clip)[0]
    instance_THW = None if clip.instance_THW is None else clip.instance_THW.numpy()
    if given.ndim == 3:
        return Conditioning(given, instance_THW, exemplar)
    return Conditioning(np.zeros(given[:, 0].shape, np.uint8), instance_THW, exemplar, picture_TLHW=given)


def _real(clip: TrainingClip) -> NDArray[np.uint8]:
    return ((clip.real_T3HW + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).numpy()


def _panels(clip: TrainingClip, frames: ClipFrames, space: LabelSpace) -> list[pictures.Rgb]:
    flow = frames.flow_THW2
    most = 1.0 if flow is None else float(np.quantile(np.hypot(flow[..., 0], flow[..., 1]), 0.99)) or 1.0
    shown = []
    for t, (image, real) in enumerate(zip(frames.image_THW3, _real(clip), strict=True)):
        parts = [_shown(clip.frames[t].numpy(), space), image, real]
        if flow is not None:
            parts.append(pictures.color_flow(flow[t], most))
        shown.append(np.concatenate(parts, axis=1))
    return shown


def _shown(given: NDArray[Any], space: LabelSpace) -> pictures.Rgb:
    """Draws labels in their colours; of a pose's channels the last three, of a face's the edges."""
    if given.ndim == 2:
        return pictures.color_labels(given.astype(np.int64), space)
    posed = len(given) in (3, 6)
    levels = (given[-3:] + 1) * 127.5 if posed else np.repeat(given[:1], 3, axis=0) * 255
    return np.moveaxis(levels, 0, -1).astype(np.uint8)


def _mean(errors: Sequence[float | None]) -> float:
    known = [e for e in errors if e is not None]
    return sum(known) / len(known) if known else 0.0
