"""Decodes a source's maps as its spec's encoding says."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import resize_ids
from flowreel.pipeline.id_maps import ColourPicture, decode_colours, decode_ids
from flowreel.pipeline.sources.encodings import colours, segments
from flowreel.pipeline.sources.encodings.hints import fitting
from flowreel.pipeline.sources.encodings.palettes import IndexRule, PaletteRule
from flowreel.pipeline.sources.named_files import read_named
from flowreel.pipeline.storage import open_store
from flowreel.schemas.encoding import Channel, CocoPanoptic, Colours, Encoding, holds_instances, kind_of, words
from flowreel.schemas.errors import StorageError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.source import SourceSpec

_BANDS = ("red", "green", "blue", "alpha")
_PER_CLASS = 1000  # Cityscapes: class x 1000 + number


class MapFile(NamedTuple):
    """What one file holds: source ids (H, W); instances of the same file, None where others hold them.

    ``reading``: how it was read, "" if nothing but its bytes decided that.
    """

    ids_HW: NDArray[np.integer]
    instance_HW: NDArray[np.integer] | None
    reading: str

    def resized(self, size: tuple[int, int]) -> "MapFile":
        """Gives both at ``size`` (width, height), by nearest neighbour."""
        instance_HW = None if self.instance_HW is None else resize_ids(self.instance_HW, size)
        return MapFile(resize_ids(self.ids_HW, size), instance_HW, self.reading)


@dataclass(frozen=True)
class MapDecoder:
    """Decodes label and instance maps of one source. Processes may send it to each other."""

    space: LabelSpace | None = None  # None: whatever ids there are
    encoding: Encoding = "ids"
    remapped: bool = False  # the spec says by a remap what the source's ids are
    table: colours.ColourTable | None = None
    panoptic: segments.Segments | None = None
    content: str = ""  # digest of the file that the encoding names

    @property
    def digest(self) -> str:
        """Names what the encoding is, with the content of its file; "" for `ids`, which no clip's identity shows."""
        return "" if self.encoding == "ids" else " ".join([words(self.encoding), self.content]).strip()

    def accepts(self, role: str) -> tuple[str, bool]:
        """Gives what the `reading` of a known file must end with to count as read by this decoder, and whether one
        that nothing but its bytes decided counts too."""
        return self._rule(role), role == "instance" or self.encoding in ("ids", "index")

    def read(self, data: bytes, path: str, role: str) -> MapFile:
        """Decodes a file's maps; ``path``: below the source; ``role``: `label` or `instance`.

        Raises ValueError that says what was found, and which encoding would fit.
        """
        if role == "instance" and not holds_instances(self.encoding):
            return self._ids(data, IndexRule() if self.encoding == "index" else PaletteRule(None), role)
        if self.encoding in ("ids", "index"):
            rule = IndexRule() if self.encoding == "index" else PaletteRule(self.space, self.remapped)
            return self._ids(data, rule, role)
        ids_HW, instance_HW = self._split(data, path)
        return MapFile(ids_HW, instance_HW, f"|{self._rule(role)}")

    def instances(self, data: bytes, path: str) -> NDArray[np.integer]:
        """Decodes an instance map, (H, W). Raises ValueError as `read` does."""
        found = self.read(data, path, "instance")
        return found.ids_HW if found.instance_HW is None else found.instance_HW

    def _ids(self, data: bytes, rule: PaletteRule | IndexRule, role: str) -> MapFile:
        try:
            ids_HW = decode_ids(data, rule)
        except ColourPicture as error:
            hint = fitting(error.rgba_K4, self.space) if role == "label" else "store instance maps as grey PNGs"
            raise ValueError(f"{error}; {hint}") from None
        return MapFile(ids_HW, None, "" if rule.found is None else f"{rule.found}|{self._rule(role)}")

    def _split(self, data: bytes, path: str) -> tuple[NDArray[np.integer], NDArray[np.integer] | None]:
        """Gives source ids and instances of the encodings that are not plain ids."""
        kind = kind_of(self.encoding)
        if kind in ("mapillary", "cityscapes-instance"):
            return _split_numbers(decode_ids(data), kind)
        rgba_HW4 = decode_colours(data)
        if isinstance(self.encoding, Channel):
            return rgba_HW4[..., _BANDS.index(self.encoding.channel)], None
        if kind == "colours":
            assert self.table is not None
            return self.table.decode(rgba_HW4), None
        if kind == "coco-panoptic":
            assert self.panoptic is not None
            return self.panoptic.decode(rgba_HW4, path)
        if rgba_HW4.dtype != np.uint8 or (rgba_HW4[..., 3] < 255).any():
            raise ValueError("transparent or 16-bit pixels, where class, and track in two bytes, are needed")
        track_HW = rgba_HW4[..., 1].astype(np.uint16) * 256 + rgba_HW4[..., 2]
        return rgba_HW4[..., 0], track_HW

    def _rule(self, role: str) -> str:
        return self._rules["label" if role == "label" or holds_instances(self.encoding) else "instance"]

    @cached_property
    def _rules(self) -> dict[str, str]:
        parts = f"{words(self.encoding)}\n{self.content}\n{self.space and self.space.digest}\n{self.remapped}"
        return {
            "label": hashlib.sha256(parts.encode()).hexdigest()[:12],
            "instance": "by index" if self.encoding == "index" else "by colour",
        }


PLAIN = MapDecoder()


def open_decoder(source: SourceSpec, space: LabelSpace, options: Mapping[str, Any]) -> MapDecoder:
    """Opens what a source's encoding needs. Raises UsageError for a file that is not there or does not fit."""
    encoding, remapped = source.encoding, bool(source.classes_of_ids)
    table = panoptic = None
    content = ""
    try:
        if isinstance(encoding, Colours):
            content, table = _named_colours(encoding.colours, space, options)
        elif encoding == "colours":
            table = colours.of_space(space)
        elif kind_of(encoding) == "coco-panoptic":
            files = _panoptic_files(source, encoding, options)
            content, panoptic = _digest(*(data for _, data in files)), segments.of_files(files)
    except (StorageError, ValueError) as error:
        raise UsageError(f"source.encoding: {error}") from None
    return MapDecoder(space, encoding, remapped, table, panoptic, content)


def _named_colours(name: str, space: LabelSpace, options: Mapping[str, Any]) -> tuple[str, colours.ColourTable]:
    """Gives the colours that a built-in label space or files name, with a digest of what they are.

    Raises ValueError for files that name none, or of which one colour means two classes.
    """
    if name in BUILT_IN:
        return BUILT_IN[name].digest, colours.of_space(BUILT_IN[name])
    files = read_named(name, options)
    return _digest(*(data for _, data in files)), colours.of_files(files, name, space)


def _panoptic_files(source: SourceSpec, encoding: Encoding, options: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Reads the JSON that the spec names, else those that lie in the source."""
    if isinstance(encoding, CocoPanoptic):
        return read_named(encoding.coco_panoptic, options)
    store = open_store(source.uri, options)
    files = [info.path for info in store.list(pattern="**/*.json") if "panoptic" in info.path]
    if not files:
        raise ValueError(
            f"no JSON with 'panoptic' in its name below {source.uri}; name it: encoding: {{coco-panoptic: FILE}}"
        )
    return [(store.url(path), store.read(path)) for path in sorted(files)]


def _split_numbers(ids_HW: NDArray[np.integer], kind: str) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Splits numbers that hold class and instance."""
    if kind == "mapillary":
        if ids_HW.dtype != np.uint16 and ids_HW.any():
            raise ValueError("8 bits, where class x 256 + instance takes 16; point the template at `instances`")
        return ids_HW >> 8, ids_HW.astype(np.uint16)
    wide_HW = ids_HW.astype(np.uint16)
    has_HW = wide_HW >= _PER_CLASS
    return np.where(has_HW, wide_HW // _PER_CLASS, wide_HW), np.where(has_HW, wide_HW, np.uint16(0))


def _digest(*data: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in data)).hexdigest()[:32]
