"""A clip's files as a user's own program would read and write them: fsspec, Pillow."""

import io
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.throughput.work import INSTANCES, LABELS, Work
from flowreel.pipeline.generator.clip_data import Conditioning


@dataclass(frozen=True)
class Files:
    """The sequences of a source and the folder of results, on a disk or in a bucket."""

    system: Any
    source: str
    results: str

    def sequences(self) -> list[str]:
        return sorted({path.split("/")[-3] for path in self.system.glob(f"{self.source}/*/{LABELS}/*.png")})

    def load(self, sequence: str) -> Conditioning:
        return Conditioning(self._maps(sequence, LABELS), self._maps(sequence, INSTANCES))

    def save(self, sequence: str, image_THW3: NDArray[np.uint8], maps: Conditioning, ending: str) -> None:
        """Images as ``ending`` says, labels and instance maps as PNG: a file each, those of a clip at once."""
        assert maps.instance_THW is not None
        folder = f"{self.results}/{sequence}"
        self.system.makedirs(folder, exist_ok=True)
        files = {}
        for t, image_HW3 in enumerate(image_THW3):
            files[f"{folder}/{t:06d}.{ending}"] = encoded(image_HW3, ending)
            files[f"{folder}/{t:06d}_label.png"] = encoded(maps.label_THW[t], "png")
            files[f"{folder}/{t:06d}_instance.png"] = encoded(maps.instance_THW[t], "png")
        self.system.pipe(files)

    def _maps(self, sequence: str, role: str) -> NDArray[np.integer]:
        paths = sorted(self.system.glob(f"{self.source}/{sequence}/{role}/*.png"))
        data = self.system.cat(paths)
        return np.stack([np.asarray(Image.open(io.BytesIO(data[path]))) for path in paths])


def open_files(work: Work) -> Files:
    system, root = fsspec.core.url_to_fs(work.root)
    return Files(system, f"{root}/source", f"{root}/{work.target}")


def encoded(pixels: NDArray[np.integer], ending: str) -> bytes:
    """By Pillow, with its own settings but for the quality of JPEG, which is Flowreel's."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(
        stream, **({"format": "JPEG", "quality": 92} if ending == "jpg" else {"format": "PNG"})
    )
    return stream.getvalue()
