"""Identity: names that follow from content alone, never from ranks, worker counts, listing order, times or roots.

A clip's id is hashed in two steps, so that millions of clips take seconds: one hash of what all clips of a variant
share, one of each span of a sequence (which all variants share), and of the two, per clip, one hash of 32 bytes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.schemas.clip import CLIP_ID, ID_BYTES, Donor
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.shards import VariantSettings
from flowreel.schemas.spec import Spec
from flowreel.schemas.variants import GENERATE, Variant

RENDER_FORMAT = 4  # raise when the code's output for the same inputs changes, or what ids are made of
_SIZE = ID_BYTES
_BLOCK = 65_536  # ids that are Python objects at one time

# The reason that people read, by the name of the part that changed. What is not listed here is a setting.
REASON_OF = {
    **dict.fromkeys(("style", "style_uri", "light", "edits", "donors", "seed"), "variant"),
    **dict.fromkeys(("label_space", "remap", "encoding"), "label space"),
    "generator": "weights",
}
SETTINGS = "settings"


def digest(parts: Any) -> str:
    """Gives the 128-bit hash of a JSON-able value in canonical form, as 32 hex digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def variant_digest(parts: dict[str, Any]) -> bytes:
    """Hashes everything that decides all clips of a variant: generator, settings, style, edits. 16 bytes."""
    return bytes.fromhex(digest({**parts, "render_format": RENDER_FORMAT}))


def span_digest(*parts: bytes | memoryview) -> bytes:
    """Hashes everything that decides a span of a sequence: its frames and the fingerprints of their maps. 16 bytes.

    Parts are hashed one after the other, so where each ends must follow from what it or those before it say.
    """
    return hashlib.blake2b(b"".join(parts), digest_size=_SIZE).digest()


def clip_ids(variant: bytes, span_P16: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives the ids of a variant's clips, (P, 16): the hash of the variant's digest with each span's."""
    after_variant = hashlib.blake2b(variant, digest_size=_SIZE).copy
    ids = np.empty_like(span_P16)
    for first in range(0, len(ids), _BLOCK):
        data, found = span_P16[first : first + _BLOCK].tobytes(), []
        for at in range(0, len(data), _SIZE):
            state = after_variant()
            state.update(data[at : at + _SIZE])
            found.append(state.digest())
        ids[first : first + _BLOCK] = id_array(b"".join(found))
    return ids


def id_array(data: bytes) -> NDArray[np.uint8]:
    """Views ids that lie one after the other as an array (n, 16)."""
    return np.frombuffer(data, np.uint8).reshape(-1, _SIZE)


def ids_from_hex(texts: pa.Array) -> NDArray[np.uint8]:
    """Parses ids of 32 hex digits to (n, 16). Raises ValueError for anything else."""
    data = "".join(texts.to_pylist())
    found = id_array(bytes.fromhex(data))
    if len(found) != len(texts):
        raise ValueError(f"{len(texts)} ids of 32 hex digits take {32 * len(texts)}, not {len(data)}")
    return found


def to_hex(data_NK: NDArray[np.uint8]) -> pa.Array:
    """Formats ids or other digests (N, K) as strings of 2 K hex digits."""
    count, size = data_NK.shape
    data = np.ascontiguousarray(data_NK).tobytes().hex().encode()
    offsets = np.arange(count + 1, dtype=np.int64) * 2 * size
    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data)).cast(pa.string())


def as_clip_ids(id_N16: NDArray[np.uint8]) -> pa.Array:
    """Gives ids as an Arrow array of 16 bytes each."""
    data = np.ascontiguousarray(id_N16)
    return pa.Array.from_buffers(CLIP_ID, len(data), [None, pa.py_buffer(data)])


def shard_id(clip_ids: Iterable[str]) -> str:
    """Names the data file that holds exactly these clips, in this order."""
    return digest(list(clip_ids))


def shard_ids(clip_C16: NDArray[np.uint8], first_M1: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Gives `shard_id` of many shards, (M, 16): the clips of shard m are rows ``first_M1[m]`` to ``first_M1[m +
    1]``."""
    text = clip_C16.tobytes().hex("|", _SIZE).replace("|", '","')  # each id takes 35 characters, as in JSON
    edges = [int(first) * (2 * _SIZE + 3) for first in first_M1]
    return id_array(
        b"".join(hashlib.sha256(f'["{text[a : b - 3]}"]'.encode()).digest()[:_SIZE] for a, b in pairwise(edges))
    )


def split_point(sequence_id: str) -> float:
    """Hashes the name of a sequence to a point in [0, 1), which shares divide among splits."""
    return int(hashlib.sha256(encode_basestring(sequence_id).encode()).hexdigest()[:12], 16) / 16**12


def split_of(sequence_id: str, split: Mapping[str, float]) -> str:
    """Chooses the split of a sequence by its name alone, so that it stays when other sequences come or go."""
    point, edge = split_point(sequence_id), 0.0
    for name, share in split.items():
        edge += share
        if point < edge:
            return name
    return next(name for name in reversed(list(split)) if split[name] > 0)  # the shares sum to 1 but for rounding


def variant_parts(
    variant: Variant, chosen: VariantSettings, spec: Spec, space: LabelSpace, settings: RenderSettings
) -> dict[str, Any]:
    """Collects the parts of identity that all clips of a variant share."""
    exemplar, keypoints = chosen.exemplar, spec.source.pose or spec.source.face
    points = {"points": keypoints.model_dump(mode="json")} if keypoints else {}
    parts = points | {
        "style": exemplar.digest if exemplar else GENERATE,
        "style_uri": variant.style,
        "edits": [edit.model_dump(mode="json") for edit in variant.edits],
        "seed": spec.seed_of(variant),
        "label_space": space.digest,
        "remap": sorted((k, space.resolve(v)) for k, v in spec.source.classes_of_ids.items()),
        "fps": spec.source.fps,
        "generator": settings.generator,
        "size": settings.size,
        "precision": settings.precision,
        "lead_in": spec.clips.lead_in,
        "output": spec.output.model_dump(mode="json", exclude=_without_effect(spec)),
    }
    # What most variants do not have is no part of their ids.
    if settings.encoding:
        parts["encoding"] = settings.encoding
    if settings.none_rules and spec.source.instances:
        parts["none_rules"] = settings.none_rules
    if variant.light:
        parts["light"] = variant.light.model_dump(mode="json")
    if chosen.donors:
        parts["donors"] = [_frames(donor) for donor in chosen.donors]
    return parts


def _frames(donor: Donor) -> list[Any]:
    """Gives the digests of a donor's label and instance maps."""
    return [(frame.label.digest, frame.instance and frame.instance.digest) for frame in donor.frames]


def by_reason(parts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Groups parts by the reason that people read when one of them changed."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in parts.items():
        groups.setdefault(REASON_OF.get(name, SETTINGS), {})[name] = value
    return groups


def _without_effect(spec: Spec) -> set[str]:
    """Names the output fields that change no byte of this spec's clips."""
    unused = {"image_quality"} if spec.output.image_codec == "png" else set()
    return unused if spec.output.depth else unused | {"depth"}


class IdSearch:
    """A search for ids in an array of them, (n, 16)."""

    def __init__(self, id_N16: NDArray[np.uint8]) -> None:
        self._ids = np.ascontiguousarray(id_N16)
        # By their first 8 bytes; the few that share those are compared one by one.
        heads = self._ids.view(">u8")[:, 0].astype(np.uint64) if len(id_N16) else np.empty(0, np.uint64)
        self._order = np.argsort(heads)
        self._heads = heads[self._order]

    def find(self, written: str) -> int | None:
        """Finds the row of an id of 32 hex digits; None if it is not there."""
        try:
            wanted = bytes.fromhex(written)
        except ValueError:
            return None
        head = np.uint64(int.from_bytes(wanted[:8], "big"))
        for k in range(int(np.searchsorted(self._heads, head)), len(self._heads)):
            if self._heads[k] != head:
                return None
            if self._ids[self._order[k]].tobytes() == wanted:
                return int(self._order[k])
        return None
