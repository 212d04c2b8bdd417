"""Real sequences with their label maps, from a folder, a bucket, or a spec's source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.sources.template import Template
from flowreel.pipeline.storage import Store, open_store, read_text
from flowreel.pipeline.training.data.frames import read_frames
from flowreel.pipeline.training.data.sources import TrainingSource, open_source
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.parse import check, parse_yaml
from flowreel.schemas.spec import SourceSpec
from flowreel.schemas.training import NetworkSpec, ScheduleSpec, TrainSpec

LABELS, INSTANCES, IMAGES = "{sequence}/labels/*.png", "{sequence}/instances/*.png", "{sequence}/images/*.jpg"
SPEC_ENDINGS = (".yaml", ".yml")
INDEX = "memory://flowreel-evaluation"  # what the source's files are remembered in: nothing is left behind


@dataclass(frozen=True)
class RealVideo:
    """Holds one sequence, read and resized."""

    name: str
    label_THW: NDArray[np.integer]
    instance_THW: NDArray[np.integer]
    image_THW3: NDArray[np.uint8]  # RGB


@dataclass(frozen=True)
class RealData:
    """Wraps a source whose label maps all have a real frame."""

    source: TrainingSource
    fps: float

    @property
    def uri(self) -> str:
        return self.source.store.uri

    @property
    def space(self) -> LabelSpace:
        return self.source.space

    @property
    def names(self) -> list[str]:
        return [s.name for s in self.source.sequences]

    def read(self, names: Sequence[str], size: tuple[int, int], most: int | None = None) -> list[RealVideo]:
        """Reads some sequences at ``size`` (width, height), at most their first ``most`` frames.

        Raises UsageError for a name that does not exist, SourceError for what is gone or does not decode.
        """
        known = {s.name: s for s in self.source.sequences}
        if missing := [name for name in names if name not in known]:
            raise UsageError(f"no sequence '{missing[0]}' below {self.uri}; there are: {', '.join(known)}")
        videos = []
        for name in names:
            frames = read_frames(self.source, known[name].frames[:most], size)
            label_THW, instance_THW = np.stack([f.label_HW for f in frames]), np.stack([f.instance_HW for f in frames])
            videos.append(RealVideo(name, label_THW, instance_THW, np.stack([f.image_HW3 for f in frames])))
        return videos


def open_data(data: str, label_space: str = "cityscapes") -> RealData:
    """Opens a folder or URL with SEQUENCE/labels, /images and perhaps /instances, or a YAML file with a ``source``.

    ``label_space`` is that of a folder; a YAML file names its own. Raises UsageError for what is missing or unpaired.
    """
    source = _named_source(data) if data.endswith(SPEC_ENDINGS) else _folder(data, label_space)
    shortest = NetworkSpec(n_frames=2)  # measured videos may be shorter than trained ones
    spec = TrainSpec(output=INDEX, source=source, generator=shortest, schedule=ScheduleSpec(clip_frames=2))
    found = open_source(spec)
    found.check()
    return RealData(found, source.fps)


def _named_source(spec: str) -> SourceSpec:
    tree = parse_yaml(read_text(spec), spec)
    if "source" not in tree:
        raise UsageError(f"{spec}: no `source:` in it; give a spec with one, or a folder of sequences")
    source = check(SourceSpec, tree["source"], f"{spec}: source")
    return source if source.images else source.model_copy(update={"images": IMAGES})


def _folder(uri: str, label_space: str) -> SourceSpec:
    store: Store = open_store(uri)
    store.check_readable()
    instances = INSTANCES if any(Template(INSTANCES).match(info.path) for info in store.list()) else None
    return SourceSpec(uri=uri, labels=LABELS, instances=instances, images=IMAGES, label_space=label_space)
