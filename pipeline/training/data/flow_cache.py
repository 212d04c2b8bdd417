"""Caches reference flows, computed once per pair of images, size and method, in the run's storage.

There is one object per pair: a clip reads just the pairs that it shows, and an interrupted run resumes where it was.
They are stored as 16-bit PNG in KITTI's encoding: 193 KiB at 512x256, where float16 in a compressed npz takes 425.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_flow, encode_flow
from flowreel.pipeline.identity import digest
from flowreel.pipeline.optical_flow import Flow
from flowreel.pipeline.storage import NotFound, Store
from flowreel.pipeline.training.data.frames import read_images
from flowreel.pipeline.training.data.reference_flow import FlowMethod
from flowreel.pipeline.training.data.sequences import TrainingFrame, TrainingSequence
from flowreel.schemas.errors import SourceError

FLOW_FORMAT = 1  # increase when flows of the same images change
PAIRS = 16  # of a work item: each image is read and resized once per item
FOLDER = "cache/flow"
Progress = Callable[[int, int], None]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class FlowWork:
    """Flows to compute: pairs of one sequence at one stride, each frame with the one ``stride`` before it."""

    sequence: str
    pairs: tuple[tuple[TrainingFrame, TrainingFrame], ...]  # current, previous


@dataclass(frozen=True)
class FlowCache:
    """Flows of one size and method. Processes may send it to each other; all may compute the same pair at once."""

    run: Store  # where flows are cached
    images: Store  # where images lie
    size: tuple[int, int]  # width, height of the images between which flow is computed
    method: FlowMethod

    @property
    def folder(self) -> str:
        """Gives the folder of flows of this size and method."""
        return f"{FOLDER}/{self.method.name}-{self.size[0]}x{self.size[1]}"

    def path(self, current: TrainingFrame, previous: TrainingFrame) -> str:
        """Gives the path of a pair's flow, named by what decides it."""
        crops = [astuple(f.crop) for f in (current, previous) if f.crop]
        return f"{self.folder}/{digest([FLOW_FORMAT, current.image.digest, previous.image.digest, *crops])}.png"

    def missing(self, sequences: Iterable[TrainingSequence], max_stride: int = 1) -> list[FlowWork]:
        """Lists what has to be computed for all clips at strides 1..``max_stride``, in items for one worker each."""
        existing = {info.path for info in self.run.list(self.folder)}
        work = []
        for sequence in sequences:
            for stride in range(1, max_stride + 1):
                pairs = zip(sequence.frames[stride:], sequence.frames, strict=False)
                new = [pair for pair in pairs if self.path(*pair) not in existing]
                parts = (tuple(new[i : i + PAIRS]) for i in range(0, len(new), PAIRS))
                work += [FlowWork(sequence.name, part) for part in parts]
        return work

    def compute(self, work: FlowWork) -> int:
        """Computes and stores the flows of an item, and counts them. Raises SourceError for images that cannot be
        used."""
        frames = list(dict.fromkeys(frame for pair in work.pairs for frame in pair))
        images = dict(zip(frames, read_images(self.images, frames, self.size), strict=True))
        for current, previous in work.pairs:
            self.compute_pair(current, previous, images[current], images[previous])
        return len(work.pairs)

    def compute_all(self, work: Sequence[FlowWork], threads: int, progress: Progress | None = None) -> int:
        """Computes all items on this machine; ``progress(done, total)`` counts pairs."""
        total, done = sum(len(item.pairs) for item in work), 0
        with ThreadPoolExecutor(threads) as pool:
            for count in pool.map(self.compute, work):
                done += count
                if progress:
                    progress(done, total)
        return done

    def cached(self, current: TrainingFrame, previous: TrainingFrame) -> Flow | None:
        """Reads a flow that was computed before; None if there is none, or it is damaged."""
        try:
            flow, sure = decode_flow(self.run.read(self.path(current, previous)))
        except (NotFound, ValueError):
            return None
        return (flow, sure) if flow.shape == (self.size[1], self.size[0], 2) else None

    def compute_pair(
        self, current: TrainingFrame, previous: TrainingFrame, current_HW3: Rgb, previous_HW3: Rgb
    ) -> Flow:
        """Computes and stores a flow, and gives it as it is read back, so that it does not matter who computed it.

        Raises SourceError if the method gives values that are not finite.
        """
        flow, sure = self.method(current_HW3, previous_HW3)
        if not np.isfinite(flow).all():
            between = f"{current.image.path} and {previous.image.path}"
            raise SourceError(f"{self.method.name}: flow between {between} is not finite; check these images")
        data = encode_flow(flow, sure)
        self.run.write(self.path(current, previous), data)
        return decode_flow(data)
