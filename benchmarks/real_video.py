"""Real sequences with their label maps, from a folder, a bucket, or what a spec calls its source."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.catalog import scan
from pipeline.codec import decode_ids, decode_image, resize_ids, resize_image
from pipeline.edits import remap_table, thing_regions
from pipeline.file_uri import open_file
from pipeline.label_spaces import open_label_space
from pipeline.storage import Store, open_store
from pipeline.template import Template
from schemas import sequence as listed
from schemas.errors import SourceError, UsageError
from schemas.label_space import LabelSpace
from schemas.parse import check, parse_yaml
from schemas.spec import SourceSpec

LABELS, INSTANCES, IMAGES = "{sequence}/labels/*.png", "{sequence}/instances/*.png", "{sequence}/images/*.jpg"
SPEC_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class RealVideo:
    """One sequence, read and brought to a size."""

    name: str
    label_THW: NDArray[np.integer]
    instance_THW: NDArray[np.integer]  # of a source without: what rendering takes in their place
    image_THW3: NDArray[np.uint8]  # RGB


@dataclass(frozen=True)
class RealData:
    """A source whose frames are all paired. ``sequences`` are in natural order of their names."""

    store: Store
    source: SourceSpec
    space: LabelSpace
    sequences: tuple[listed.Sequence, ...]
    image: dict[tuple[str, str], str]  # (sequence, frame) -> path of its real frame

    def read(
        self, names: Sequence[str], size: tuple[int, int], tick: Callable[[int], None] | None = None
    ) -> list[RealVideo]:
        """Some sequences at ``size`` (width, height); ``tick(n)`` is told of n more frames.

        Raises UsageError for a name that there is not, SourceError for images that do not decode.
        """
        known = {s.sequence_id: s for s in self.sequences}
        for name in names:
            if name not in known:
                raise UsageError(f"no sequence '{name}' below {self.store.uri}; there are: {', '.join(known)}")
        return [self._video(known[name], size, tick) for name in names]

    def _video(self, sequence: listed.Sequence, size: tuple[int, int], tick: Callable[[int], None] | None) -> RealVideo:
        table, labels, instances, images = remap_table(self.source.remap, self.space), [], [], []
        for frame in sequence.frames:
            labels.append(resize_ids(table[decode_ids(self.store.read(frame.label.path))], size))
            if frame.instance:
                instances.append(resize_ids(decode_ids(self.store.read(frame.instance.path)), size))
            images.append(resize_image(self._image(self.image[sequence.sequence_id, frame.name]), size))
            if tick:
                tick(1)
        label_THW = np.stack(labels)
        instance_THW = np.stack(instances) if instances else thing_regions(label_THW, self.space)
        return RealVideo(sequence.sequence_id, label_THW, instance_THW, np.stack(images))

    def _image(self, path: str) -> NDArray[np.uint8]:
        try:
            return decode_image(self.store.read(path))
        except ValueError as error:
            raise SourceError(f"{self.store.url(path)}: {error}") from None


def open_data(data: str, label_space: str = "cityscapes") -> RealData:
    """A folder or bucket URL with SEQUENCE/labels, /images and perhaps /instances; or a YAML file with a ``source``.

    ``label_space`` is that of a folder; a YAML file names its own. Raises UsageError for what is missing or unpaired.
    """
    source = _named_source(data) if data.endswith(SPEC_ENDINGS) else _folder(data, label_space)
    store, space = open_store(source.uri), open_label_space(source.label_space, {})
    store.check_readable()
    catalog = scan(store, source, space, {})
    catalog.check()
    assert source.images is not None
    image = {key: path for path in _paths(store) if (key := Template(source.images).match(path))}
    frames = [(s.sequence_id, frame.name) for s in catalog.sequences for frame in s.frames]
    if missing := [frame for frame in frames if frame not in image]:
        shown = ", ".join(f"{name}/{frame}" for name, frame in missing[:3])
        raise SourceError(
            f"{store.uri}: {len(missing)} of {len(frames)} label maps have no real frame at '{source.images}',"
            f" first: {shown}; quality is measured against real frames"
        )
    return RealData(store, source, space, catalog.sequences, image)


def _named_source(spec: str) -> SourceSpec:
    store, name = open_file(spec)
    tree = parse_yaml(store.read(name).decode(), spec)
    if "source" not in tree:
        raise UsageError(f"{spec}: no `source:` in it; give a spec with one, or a folder of sequences")
    source = check(SourceSpec, tree["source"], f"{spec}: source")
    return source if source.images else source.model_copy(update={"images": IMAGES})


def _folder(uri: str, label_space: str) -> SourceSpec:
    there = any(Template(INSTANCES).match(path) for path in _paths(open_store(uri)))
    instances = INSTANCES if there else None
    return SourceSpec(uri=uri, labels=LABELS, instances=instances, images=IMAGES, label_space=label_space)


def _paths(store: Store) -> Iterable[str]:
    return (info.path for info in store.list())
