"""Small sources of procedurally drawn Cityscapes sequences."""

from functools import cache
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray


class MakeSource(Protocol):
    """Writes drawn sequences below ``root``: ``seq_00/labels/000000.png``, ``seq_00/instances/000000.png``, ..."""

    def __call__(
        self, root: Path, sequences: int = 2, frames: int = 5, size: tuple[int, int] = (64, 32), instances: bool = True
    ) -> Path: ...


def write_source(
    root: Path, sequences: int = 2, frames: int = 5, size: tuple[int, int] = (64, 32), instances: bool = True
) -> Path:
    for s in range(sequences):
        for role, files in _drawn(s, frames, size).items():
            if role == "labels" or instances:
                folder = root / f"seq_{s:02d}" / role
                folder.mkdir(parents=True, exist_ok=True)
                for t, data in enumerate(files):
                    (folder / f"{t:06d}.png").write_bytes(data)
    return root


@cache
def _drawn(seed: int, frames: int, size: tuple[int, int]) -> dict[str, list[bytes]]:
    """PNGs of a sequence, by role."""
    from flowreel.pipeline.codec import encode_ids
    from flowreel.pipeline.sources.scenes import street_scene

    scene = street_scene(seed, frames, size)
    maps: dict[str, NDArray[Any]] = {"labels": scene.label_THW, "instances": scene.instance_THW}
    return {role: [encode_ids(ids_HW) for ids_HW in ids_THW] for role, ids_THW in maps.items()}
