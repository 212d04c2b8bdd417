"""Samples training clips: which frames of which sequence come next (vid2vid-spec, section 10.2). Pure: no files, no
state."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np

from flowreel.pipeline.training.data.camera import SHARES, Camera
from flowreel.schemas.training import TrainSpec

Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class Sampling:
    """Everything that samples depend on besides chance. Clips and chunks grow with the epochs; the rest stays."""

    context: int  # T-1: frames before the first one that is generated
    clip_frames: int  # most frames generated in a clip, now
    load_frames: int  # frames of an optimisation step, now
    size: Size
    crop: Size | None = None
    max_stride: int = 1
    flip: float = 0.0
    empty_start: float = 0.0
    moving: bool = False  # a sequence of one frame is a still, over which a camera moves
    fill_void: float = 0.0
    drop_edges: float = 0.0

    @classmethod
    def of(cls, spec: TrainSpec, clip_frames: int, load_frames: int) -> Self:
        """Gives a spec's sampling at the clip length and chunk that its schedule has reached."""
        data, schedule = spec.data, spec.schedule
        maps = spec.source is None or spec.source.kind == "labels"  # a camera cannot pan over keypoints
        return cls(
            spec.generator.n_frames - 1, clip_frames, load_frames, data.size, data.crop,
            schedule.max_stride, data.flip, schedule.empty_start, maps,
            data.fill_void if data.void else 0.0, data.drop_edges,
        )  # fmt: skip

    def from_nothing(self) -> Self:
        """Gives the sampling of single frames, each made from nothing."""
        return replace(self, clip_frames=1, load_frames=1, max_stride=1, empty_start=1.0, moving=False)


@dataclass(frozen=True)
class Draw:
    """One sampled clip: frames of one sequence, and what is done to all of them alike."""

    sequence: int  # index into the lengths that it was sampled from
    start: int  # first frame read
    stride: int  # from one frame to the next
    frames: int  # of the clip, with context
    context: int  # T-1
    flip: bool = False  # mirrored, left to right
    crop: tuple[int, int] = (0, 0)  # left, top; of the mirrored picture
    empty: bool = False  # starts without a first frame
    camera: Camera | None = None  # moves over the one frame of the sequence
    fill: bool = False  # void classes become their neighbours'
    edges: bool = True  # the edge channel is filled

    @property
    def generated(self) -> int:
        """Counts the frames that the networks generate."""
        return self.frames - self.context

    @property
    def indices(self) -> tuple[int, ...]:
        """Gives the frame of the sequence for each frame of the clip."""
        return (0,) * self.frames if self.camera else self.times

    @property
    def times(self) -> tuple[int, ...]:
        """Gives the time of each frame of the clip, in frames of the sequence.

        A clip that starts empty has its first frame as context, as rendering has with `lead_in: repeat`.
        """
        lead = self.context if self.empty else 0
        return tuple(self.start + max(0, t - lead) * self.stride for t in range(self.frames))


@dataclass(frozen=True)
class Batch:
    """Frames that have nothing to do with one another, each made from nothing: one clip to the objective."""

    draws: tuple[Draw, ...]  # each of one generated frame

    @property
    def generated(self) -> int:
        """Counts the frames of each of its clips."""
        return 1


Sample = Draw | Batch


def draw(lengths: tuple[int, ...], sampling: Sampling, seed: int, epoch: int, index: int) -> Draw:
    """Samples clip ``index`` of an epoch from sequences of these ``lengths``.

    Any index can be asked for: indices 0..S-1 visit each of S sequences once, S..2S-1 again, each time in another
    order. Raises ValueError for a sequence shorter than `least_frames`.
    """
    turn, place = divmod(index, len(lengths))
    sequence = _order(len(lengths), seed, epoch, turn)[place]
    rng = np.random.default_rng((1, seed, epoch, turn, place))
    # Always in this order and number, so that one choice does not change the others.
    empty, flip = bool(rng.random() < sampling.empty_start), bool(rng.random() < sampling.flip)
    shares, fill, edges = rng.random(4), rng.random() < sampling.fill_void, rng.random() >= sampling.drop_edges
    length, context = lengths[sequence], sampling.context
    read_context = 0 if empty else context
    camera = None
    if sampling.moving and length == 1:
        camera, length = Camera.drawn(rng.random(SHARES).tolist()), sampling.clip_frames + read_context
    generated = min(sampling.clip_frames, length - read_context)
    if generated < 1:
        raise ValueError(f"a sequence of {length} frames is too short: at least {read_context + 1} are needed")
    load = min(generated, sampling.load_frames)
    generated = load * (generated // load)
    steps = generated + read_context - 1
    stride = 1 + _below(min(1 if camera else sampling.max_stride, (length - 1) // max(steps, 1)), shares[0])
    start = _below(length - steps * stride, shares[1])
    crop = (0, 0)
    if sampling.crop:
        left, top = (
            _below(whole - part + 1, s) for whole, part, s in zip(sampling.size, sampling.crop, shares[2:], strict=True)
        )
        crop = (left, top)
    frames = generated + context
    return Draw(sequence, start, stride, frames, context, flip, crop, empty, camera, bool(fill), bool(edges))


@lru_cache(maxsize=64)
def _order(count: int, seed: int, epoch: int, turn: int) -> tuple[int, ...]:
    """Gives the order in which sequences are visited."""
    return tuple(np.random.default_rng((0, seed, epoch, turn)).permutation(count).tolist())


def draw_round(lengths: tuple[int, ...], sampling: Sampling, seed: int, epoch: int, indices: range) -> list[Draw]:
    """Samples the clips that are trained on at the same time, one per worker: cut to the length of the shortest,
    because all workers must take the same number of steps."""
    draws = [draw(lengths, sampling, seed, epoch, index) for index in indices]
    frames = min(d.frames for d in draws)
    return [replace(d, frames=frames) for d in draws]


def whole(sequence: int, length: int, context: int) -> Draw:
    """Gives a sequence from its first to its last frame, unchanged: for samples and evaluation."""
    return Draw(sequence, 0, 1, length, context)


def drive(frames: int, context: int) -> Draw:
    """Gives a clip of a still with a camera that drives on: for samples where there is no video."""
    return Draw(0, 0, 1, frames, context, camera=Camera(0.9, 0.99, (0.0, 0.0), (0.0, 0.0), 1.0))


def least_frames(sampling: Sampling) -> int:
    """Gives the length that a sequence must have for one chunk."""
    return sampling.load_frames + (sampling.context if sampling.empty_start < 1 else 0)


def _below(count: int, share: float) -> int:
    """Gives one of 0..count-1, uniform for a uniform ``share`` in [0, 1); 0 where there is no choice."""
    return int(share * max(count, 1))
