"""Streams the samples of `torch_dataset`: sharded, shuffled, read ahead, resumable within an epoch."""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import torch
import torch.distributed
import torch.utils.data

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.versions import MANIFEST_FILE
from flowreel.pipeline.reader import windows
from flowreel.pipeline.reader.torch_dataset import Sample, Samples
from flowreel.pipeline.reader.windows import Indices, Part
from flowreel.schemas.errors import UsageError

FETCHES = 4  # row groups under way at once: a bucket answers late, but many at a time
Fetched = tuple[int, "Future[pa.Table]"]  # a window, and its clip's rows


@dataclass
class ClipStream(torch.utils.data.IterableDataset[Sample]):
    """Yields every window once an epoch, divided among ranks and DataLoader workers by clips.

    ``seed``: shuffles, each epoch in another way (`set_epoch`); None: manifest order. Windows of ``mixed_clips`` clips
    are mixed: so many clips are held, as they are stored. ``threads`` decode, in each worker. ``rank``: of this process
    among ``ranks``; as torch.distributed says if it is None. Where clips do not divide evenly, readers get one more or
    less.
    `state_dict` and `load_state_dict` go on after the last sample given, per worker when torchdata's
    StatefulDataLoader calls them.
    """

    samples: Samples
    seed: int | None = 0
    mixed_clips: int = 32
    threads: int = 2
    rank: int | None = None
    ranks: int | None = None
    _epoch: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64).share_memory_(), repr=False)
    _given: int = field(default=0, repr=False)
    _loaded: int = field(default=0, repr=False)  # samples that the next epoch leaves out

    def __post_init__(self) -> None:
        if self.mixed_clips < 1 or self.threads < 1:
            raise UsageError(f"mixed_clips {self.mixed_clips}, threads {self.threads}: at least 1 is needed")
        if (self.rank is None) != (self.ranks is None) or not 0 <= (self.rank or 0) < (self.ranks or 1):
            raise UsageError(f"rank {self.rank} of {self.ranks}: give both, or none, with 0 <= rank < ranks")

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch that the next iteration gives; workers that live on see it too."""
        self._epoch.fill_(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Tells where this reader stands: plain numbers and texts."""
        return {**self._identity(), "epoch": int(self._epoch), "given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave.

        Raises UsageError for a state of other data, another order or another number of readers.
        """
        mine = self._identity()
        other = [f"{key} {state.get(key)!r}, now {value!r}" for key, value in mine.items() if state.get(key) != value]
        if other:
            raise UsageError(f"this state does not fit the stream: {'; '.join(other)}")
        self.set_epoch(state["epoch"])
        self._loaded = state["given"]

    def __iter__(self) -> Iterator[Sample]:
        todo = windows.order(self.samples.windows, self._part(), self.seed, int(self._epoch), self.mixed_clips)
        self._given, self._loaded = self._loaded, 0
        for sample in self._stream(todo[self._given :]):
            self._given += 1
            yield sample

    def _stream(self, todo: Indices) -> Iterator[Sample]:
        """Decodes windows ahead, by threads: OpenCV lets go of the interpreter lock."""
        fetchers = ThreadPoolExecutor(FETCHES)
        try:
            yield from prefetch(self._decoded, self._fetched(todo, fetchers), 2 * self.threads, self.threads)
        finally:
            fetchers.shutdown(wait=False, cancel_futures=True)

    def _fetched(self, todo: Indices, fetchers: ThreadPoolExecutor) -> Iterator[Fetched]:
        """Yields windows with their clip's rows. Each clip is read once, ahead, and let go with its last window.

        Rows are handed on while they are still on their way, and windows of one clip share them: that is not what
        `prefetch` does, which would hold up decoded windows until the rows of a later one are there.
        """
        clip_W = self.samples.windows.clip_W[todo].tolist()
        left, held = Counter(clip_W), dict[int, Future[pa.Table]]()
        waiting: deque[Fetched] = deque()
        for clip, window in zip(clip_W, todo.tolist(), strict=True):
            if clip not in held:
                held[clip] = fetchers.submit(self.samples.rows, clip)
            left[clip] -= 1
            waiting.append((window, held[clip] if left[clip] else held.pop(clip)))
            if len(waiting) > FETCHES:
                yield waiting.popleft()
        yield from waiting

    def _decoded(self, fetched: Fetched) -> Sample:
        """Decodes a window, once its clip's rows are there."""
        window, rows = fetched
        return self.samples.sample(rows.result(), window)

    def _part(self) -> Part:
        """Gives this worker's place: of this rank, among all workers of all ranks."""
        rank, ranks = self.rank, self.ranks
        if rank is None or ranks is None:
            together = torch.distributed.is_available() and torch.distributed.is_initialized()
            rank = torch.distributed.get_rank() if together else 0
            ranks = torch.distributed.get_world_size() if together else 1
        worker = torch.utils.data.get_worker_info()
        workers = worker.num_workers if worker else 1
        return Part(rank * workers + (worker.id if worker else 0), ranks * workers)

    def _identity(self) -> dict[str, Any]:
        """Gives what decides the order of samples."""
        part, samples = self._part(), self.samples
        manifest = samples.dataset.version.record.files[MANIFEST_FILE].sha256
        return {
            "manifest": manifest, "windows": len(samples.windows), "frames": samples.frames, "stride": samples.stride,
            "seed": self.seed, "mixed_clips": self.mixed_clips, "reader": part.index, "readers": part.count,
        }  # fmt: skip
