"""Identity: names that follow from content alone, never from ranks, worker counts, listing order, times or roots."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

RENDER_FORMAT = 3  # raise when the code's output for the same inputs changes


def digest(parts: Any) -> str:
    """128-bit hex hash of a JSON-able value, in canonical form."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def clip_id(parts: dict[str, Any]) -> str:
    """``parts`` holds everything that decides the clip's published bytes."""
    return digest({**parts, "render_format": RENDER_FORMAT})


def shard_id(clip_ids: Iterable[str]) -> str:
    """Names the data file that holds exactly these clips, in this order."""
    return digest(list(clip_ids))


def split_of(sequence_id: str, split: dict[str, float]) -> str:
    """The split of a sequence: by its name alone, so that it stays when other sequences come or go."""
    point = int(digest(sequence_id)[:12], 16) / 16**12
    edge = 0.0
    for name, share in split.items():
        edge += share
        if point < edge:
            return name
    return next(name for name in reversed(split) if split[name] > 0)  # the shares sum to 1 but for rounding
