"""The ways to make video from labels that are compared: a generator through time, or each frame by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from flowreel.pipeline.evaluation.real_video import RealVideo
from flowreel.pipeline.generator.checkpoint import Checkpoint, checkpoint_store, read_checkpoint
from flowreel.pipeline.generator.checks import check_fits
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import Engine, load_engine
from flowreel.schemas.errors import CheckpointError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.plan import RenderSettings

Rgb = NDArray[np.uint8]
Tick = Callable[[int], None]
Precision = Literal["float32", "bfloat16", "float16"]
REPEATED = RenderOptions(lead_in="repeat")


@dataclass(frozen=True)
class Method:
    """Pairs a generator with the way it goes through a clip."""

    name: str
    engine: Engine
    alone: bool = False  # each frame from an empty start, its window filled with it: nothing of another frame is seen

    def render(self, video: RealVideo, order: Sequence[int], tick: Tick) -> Rgb:
        """Renders the frames ``order`` of a video's labels, one after the other and from nothing: (T, H, W, 3)."""
        if not self.alone:
            return render_clips(self.engine, [self._given(video, order)], REPEATED, tick)[0].image_THW3
        clips = (self._given(video, [t]) for t in order)
        return np.concatenate([render_clips(self.engine, [c], REPEATED, tick)[0].image_THW3 for c in clips])

    def render_styles(self, video: RealVideo, exemplars: Sequence[Rgb], tick: Tick) -> list[Rgb]:
        """Renders a video's labels once after each exemplar (H, W, 3): as many videos (T, H, W, 3)."""
        order, made = range(len(video.label_THW)), []
        for exemplar_HW3 in exemplars:
            clip = self._given(video, order, exemplar_HW3)
            made.append(render_clips(self.engine, [clip], REPEATED, tick)[0].image_THW3)
        return made

    def _given(self, video: RealVideo, order: Sequence[int], exemplar_HW3: Rgb | None = None) -> Conditioning:
        index = list(order)
        return Conditioning(video.label_THW[index], video.instance_THW[index], exemplar_HW3)


def open_checkpoint(place: str) -> Checkpoint:
    """Opens a checkpoint by its folder, URL, or `bundled`.

    Raises CheckpointError if there is none, or if it renders poses or faces.
    """
    checkpoint = read_checkpoint(checkpoint_store(place, {}))
    if not checkpoint.config.label_nc:
        raise CheckpointError(f"{place} renders poses or faces; quality is measured with generators of label maps")
    return checkpoint


def size_of(checkpoint: Checkpoint, asked: tuple[int, int] | None) -> tuple[int, int]:
    """Gives the width and height that are rendered. Raises UsageError if neither option nor checkpoint says one."""
    size = asked or checkpoint.config.size
    if size is None:
        raise UsageError(f"{checkpoint.store.uri} names no size of its own; give one, for example --size 512x256")
    return size


def load(checkpoint: Checkpoint, space: LabelSpace, size: tuple[int, int], precision: Precision) -> Engine:
    """Loads a generator, ready to render. Raises CheckpointError if label space, size or weights do not fit."""
    check_fits(checkpoint, space, size)
    device: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    return load_engine(checkpoint, RenderSettings(device, 1, precision, size, checkpoint.digest))
