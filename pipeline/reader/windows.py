"""Chooses the frames of each sample, and the order of samples: index arithmetic, nothing is read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowreel.schemas.errors import UsageError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A reader's place among all readers that share the clips of an epoch: ranks x workers."""

    index: int
    count: int


@dataclass(frozen=True)
class Windows:
    """The samples of a dataset: runs of consecutive frames of one clip. Clips and frames are numbers in it."""

    clip_W: Indices
    start_W: Indices  # row in the dataset's index
    stop_W: Indices

    def __len__(self) -> int:
        return len(self.clip_W)


def cut_windows(edge_C: Indices, row_F: Indices, frames: int, stride: int) -> Windows:
    """Cuts windows of ``frames`` frames (0: all consecutive ones), starting every ``stride`` frames.

    ``edge_C``: where each clip's frames begin in the index, and the end; ``row_F``: a frame's number in its clip. A
    window never spans a gap that a filter left.
    """
    if frames < 0 or stride < 1:
        raise UsageError(f"windows of {frames} frames every {stride}: give frames >= 0 and stride >= 1")
    total = len(row_F)
    clip_F = np.repeat(np.arange(len(edge_C) - 1), np.diff(edge_C))
    breaks = np.ones(total + 1, np.bool_)
    breaks[1:-1] = (np.diff(row_F) != 1) | (np.diff(clip_F) != 0)
    edge_R = np.flatnonzero(breaks[: total + 1]) if total else np.zeros(1, np.int64)
    start_R, length_R = edge_R[:-1], np.diff(edge_R)
    if not frames:
        return Windows(clip_F[start_R], start_R, edge_R[1:])
    count_R = np.maximum(0, (length_R - frames) // stride + 1)
    nth = np.arange(count_R.sum()) - np.repeat(np.cumsum(count_R) - count_R, count_R)
    start_W = np.repeat(start_R, count_R) + nth * stride
    return Windows(clip_F[start_W], start_W, start_W + frames)


def order(windows: Windows, part: Part, seed: int | None, epoch: int, mixed_clips: int) -> Indices:
    """Orders the windows that one reader gives in an epoch. ``seed`` None: as they lie in the dataset.

    Clips are shuffled by (seed, epoch) and dealt to the readers in turn, so that together they give every window once.
    The windows of ``mixed_clips`` consecutive clips are shuffled among themselves: a reader keeps no more clips than
    that, and reads each once.
    """
    clips = np.unique(windows.clip_W)
    by_clip = np.argsort(windows.clip_W, kind="stable")
    edges = np.searchsorted(windows.clip_W[by_clip], np.append(clips, np.iinfo(np.int64).max))
    count_C = np.diff(edges)
    chosen = np.arange(len(clips))
    if seed is not None:
        np.random.default_rng([seed, epoch]).shuffle(chosen)
    mine = chosen[part.index :: part.count]
    if seed is None:
        return _windows_of(by_clip, edges, count_C, mine)
    rng = np.random.default_rng([seed, epoch, part.index, part.count])
    blocks = [mine[i : i + mixed_clips] for i in range(0, len(mine), mixed_clips)]
    shuffled = [rng.permutation(_windows_of(by_clip, edges, count_C, block)) for block in blocks]
    return np.concatenate([np.zeros(0, np.int64), *shuffled])


def _windows_of(by_clip: Indices, edges: Indices, count_C: Indices, clips: Indices) -> Indices:
    """Gives all windows of some clips, clip by clip."""
    counts = count_C[clips]
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return by_clip[np.repeat(edges[clips], counts) + nth]
