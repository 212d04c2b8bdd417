"""What is rendered, the same for every way: sequences in a place, a checkpoint, a size."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_ids, encode_ids, resize_ids
from flowreel.pipeline.storage import open_store
from flowreel.schemas.spec import Spec

LABELS, INSTANCES = "labels", "instances"
SHIFT = 37  # pixels that frames are moved sideways by from one sequence to the next: no two are alike


@dataclass(frozen=True)
class Work:
    """What a way is told, as JSON."""

    root: str  # folder or bucket: `source` is below it, and a folder for each result
    target: str  # name of the result's folder
    checkpoint: str
    size: tuple[int, int]  # width, height
    cpus: int

    @property
    def source(self) -> str:
        return f"{self.root}/source"

    @property
    def results(self) -> str:
        return f"{self.root}/{self.target}"

    def spec(self) -> Spec:
        """A clip per sequence, one worker with all the processors."""
        return Spec.model_validate({
            "dataset": {"uri": self.results},
            "source": {"uri": self.source, "instances": f"{{sequence}}/{INSTANCES}/*.png"},
            # As the others calculate: `auto` is bfloat16 where a processor multiplies it.
            "generator": {"checkpoint": self.checkpoint, "size": self.size, "precision": "float32"},
            "clips": {"frames": 0},
            "execution": {"num_gpus": 0, "num_cpus": self.cpus},
        })  # fmt: skip

    def written(self) -> str:
        return json.dumps(asdict(self))


def read_work(text: str) -> Work:
    """What `Work.written` gave."""
    given = json.loads(text)
    return Work(**given | {"size": tuple(given["size"])})


def lengths(first: int, count: int) -> list[int]:
    """Frames of ``count`` sequences. Clips of different lengths do not share a shard: many small shards show sooner how
    fast they come, and favour nobody who pays per shard."""
    return list(range(first, first + count))


def write_source(real: Path, root: str, size: tuple[int, int], frames: Sequence[int]) -> int:
    """Sequences of so many frames out of real ones, moved sideways; returns how many frames in all."""
    found = sorted(path for path in real.iterdir() if (path / LABELS).is_dir())
    if not found:
        raise SystemExit(f"{real}: no SEQUENCE/{LABELS}/*.png in it; give a folder such as cityscapes-sample")
    store = open_store(root)
    for i, count in enumerate(frames):
        for role in (LABELS, INSTANCES):
            files = [file for sequence in found for file in sorted((sequence / role).glob("*.png"))]
            for t in range(count):
                ids_HW = _moved(files[(i * frames[-1] + t) % len(files)], size, SHIFT * i)
                store.write(f"source/seq_{i:02d}/{role}/{t:06d}.png", encode_ids(ids_HW))
    return sum(frames)


def _moved(file: Path, size: tuple[int, int], by: int) -> NDArray[np.integer]:
    return np.roll(resize_ids(decode_ids(file.read_bytes()), size), by, axis=1)
