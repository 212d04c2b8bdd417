"""Loads clips: draw -> clip, fetched, decoded, augmented, as tensors on the CPU."""

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.generator.conditioning import from_uint8
from flowreel.pipeline.optical_flow import Flow
from flowreel.pipeline.storage import open_store
from flowreel.pipeline.training.data.camera import Footage, moved
from flowreel.pipeline.training.data.decoded_cache import Memory
from flowreel.pipeline.training.data.flow_cache import FlowCache
from flowreel.pipeline.training.data.frame_data import FrameData
from flowreel.pipeline.training.data.frames import read_frames
from flowreel.pipeline.training.data.read_media import READERS
from flowreel.pipeline.training.data.reference_flow import open_method
from flowreel.pipeline.training.data.sampling import Draw, Sample
from flowreel.pipeline.training.data.sequences import TrainingFrame, TrainingSequence
from flowreel.pipeline.training.data.sources import TrainingData
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.pipeline.training.data.void import filled, void_pixels
from flowreel.schemas.training import TrainSpec

MEMORY_BYTES = 512 * 2**20  # of decoded frames and flows: 600 frames at 512x256 with flow
Pair = tuple[TrainingFrame, TrainingFrame]  # current, previous


def open_loader(spec: TrainSpec, data: TrainingData) -> "ClipLoader":
    """Opens the loader of a spec. Raises UsageError for flow weights that cannot be used."""
    run, method = open_store(spec.output, spec.storage_options), open_method(spec.data, spec.storage_options)
    flows = tuple(FlowCache(run, source.store, spec.data.size, method) for source in data.sources)
    void = frozenset(data.space.resolve(key) for key in spec.data.void)
    return ClipLoader(data, flows, spec.data.crop, void)


@dataclass
class ClipLoader:
    """Loads clips of all sources. Only the frames that are drawn are read; threads may share it."""

    data: TrainingData
    flows: tuple[FlowCache, ...]  # per source; their size is that of the frames
    crop: tuple[int, int] | None = None  # width, height of the piece that a draw names the corner of
    void: frozenset[int] = frozenset()  # classes without a look of their own
    memory: Memory = field(default_factory=lambda: Memory(MEMORY_BYTES))

    def clips(
        self, sequences: Sequence[TrainingSequence], samples: Iterable[Sample], ahead: int = 2
    ) -> Generator[TrainingClip, None, None]:
        """Yields one clip per sample of ``sequences``, in order; ``ahead`` of them load while the caller computes.

        Raises what `load` does.
        """
        return prefetch(lambda sample: self.sampled(sequences, sample), samples, ahead)

    def sampled(self, sequences: Sequence[TrainingSequence], sample: Sample) -> TrainingClip:
        """Loads what was sampled of ``sequences``; the frames of a batch one after the other. Raises what `load`
        does."""
        if isinstance(sample, Draw):
            return self.load(sequences[sample.sequence], sample)
        return TrainingClip.of_last_frames([self.load(sequences[draw.sequence], draw) for draw in sample.draws])

    def load(self, sequence: TrainingSequence, draw: Draw) -> TrainingClip:
        """Loads one clip.

        Raises SourceError for what is gone, changed or damaged, StorageError if the store keeps failing.
        """
        shown, cut = self._footage(sequence, draw), _Cut(draw, self.crop or self.flows[0].size)
        frames = [filled(frame, self.void) for frame in shown.frames] if draw.fill else shown.frames
        known_THW = ~void_pixels(np.stack([f.label_HW for f in shown.frames]), self.void) if self.void else None
        flow_THW2 = cut(shown.flow_THW2).copy()
        if draw.flip:
            flow_THW2[..., 0] *= -1
        sure_THW = cut(shown.sure_THW) & _inside(flow_THW2)
        if known_THW is not None:
            known_THW = cut(known_THW)
            sure_THW &= known_THW
        instance_THW = cut(np.stack([f.instance_HW for f in frames])).astype(np.int32)
        return TrainingClip(
            frames=_given(cut(np.stack([f.given for f in frames]))),
            instance_THW=_tensor(instance_THW if draw.edges else np.zeros_like(instance_THW)),
            real_T3HW=from_uint8(_tensor(cut(np.stack([f.image_HW3 for f in frames]))).movedim(-1, 1)),
            flow_T2HW=_tensor(flow_THW2).movedim(-1, 1).contiguous(),
            sure_T1HW=_tensor(sure_THW).unsqueeze(1).float(),
            starts_empty=draw.empty,
            known_T1HW=None if known_THW is None else _tensor(known_THW).unsqueeze(1),
        )

    def _footage(self, sequence: TrainingSequence, draw: Draw) -> Footage:
        """Gives a clip's frames and the flow between them: real ones, or of a still by a known motion."""
        shown = [sequence.frames[i] for i in draw.indices]
        data = self._frames(list(dict.fromkeys(shown)), sequence.source)
        if draw.camera:
            return moved(data[shown[0]], draw.camera, draw.times, self.data.space.things)
        pairs = [(current, previous) for previous, current in pairwise(shown)]
        flows = self._flows([pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]], data, sequence.source)
        size = self.flows[0].size
        still = (np.zeros((size[1], size[0], 2), np.float32), np.zeros((size[1], size[0]), np.bool_))
        steps = [still, *(flows.get(pair, still) for pair in pairs)]
        flow_THW2, sure_THW = (np.stack(parts) for parts in zip(*steps, strict=True))
        return Footage([data[frame] for frame in shown], flow_THW2, sure_THW)

    def _frames(self, frames: list[TrainingFrame], source: int) -> dict[TrainingFrame, FrameData]:
        """Gives each frame's maps, pictures and image: from memory, else read and kept there."""
        found = {frame: self.memory.get((source, frame)) for frame in frames}
        new = [frame for frame in frames if found[frame] is None]
        read = read_frames(self.data.sources[source], new, self.flows[source].size)
        for frame, data in zip(new, read, strict=True):
            self.memory.put((source, frame), data, data.nbytes)
            found[frame] = data
        return {frame: data for frame, data in found.items() if data is not None}

    def _flows(self, pairs: list[Pair], data: dict[TrainingFrame, FrameData], source: int) -> dict[Pair, Flow]:
        """Gives each pair's flow: from memory, from the run's cache, else calculated and kept in both."""
        cache = self.flows[source]

        def one(pair: Pair) -> Flow:
            current, previous = pair
            kept = cache.cached(current, previous)
            return kept or cache.compute_pair(current, previous, data[current].image_HW3, data[previous].image_HW3)

        found = {pair: self.memory.get((source, pair)) for pair in pairs}
        new = [pair for pair in pairs if found[pair] is None]
        with ThreadPoolExecutor(READERS) as pool:
            for pair, flow in zip(new, pool.map(one, new), strict=True):
                self.memory.put((source, pair), flow, flow[0].nbytes + flow[1].nbytes)
                found[pair] = flow
        return {pair: flow for pair, flow in found.items() if flow is not None}


@dataclass(frozen=True)
class _Cut:
    """Does to the (T, H, W, ...) of anything what a draw asks for: mirrors, then crops."""

    draw: Draw
    size: tuple[int, int]

    def __call__(self, values_THW: NDArray[Any]) -> NDArray[Any]:
        (left, top), (width, height) = self.draw.crop, self.size
        mirrored = values_THW[:, :, ::-1] if self.draw.flip else values_THW
        return mirrored[:, top : top + height, left : left + width]


def _inside(flow_THW2: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tells where flow leads to a pixel of the picture: (T, H, W).

    What a crop or the camera moved out of sight cannot be warped.
    """
    h, w = flow_THW2.shape[1:3]
    x, y = np.arange(w) + flow_THW2[..., 0], np.arange(h)[:, None] + flow_THW2[..., 1]
    return np.asarray((x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5))


def _given(values: NDArray[Any]) -> torch.Tensor:
    """Gives label ids (T, H, W) as they are, pictures (T, H, W, L) as (T, L, H, W)."""
    return _tensor(values).long() if values.ndim == 3 else _tensor(np.moveaxis(values, -1, 1))


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    """Gives an array as a tensor, contiguous."""
    return torch.from_numpy(np.ascontiguousarray(values))
