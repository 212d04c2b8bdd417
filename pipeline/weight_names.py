"""Compares the weights of a file with those of a network by name and shape."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

Shape = tuple[int, ...]
LISTED = 10


def differences(found: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> list[str]:
    """Lists the differences: one line per kind, then a few examples of it; [] if there are none."""
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    other = [key for key, shape in found.items() if wanted.get(key, shape) != shape]
    return [
        *_group("missing", missing, lambda key: _with_hint(key, wanted[key], extra, found)),
        *_group("not in the network", extra),
        *_group("of another shape", other, lambda key: f"{key}: {found[key]} here, {wanted[key]} in the network"),
    ]


def _group(what: str, keys: Sequence[str], line: Callable[[str], str] = str) -> list[str]:
    """Lists one kind of difference, LISTED examples at most."""
    if not keys:
        return []
    more = [f"    and {len(keys) - LISTED} more"] if len(keys) > LISTED else []
    return [f"  {len(keys)} {what}", *(f"    {line(key)}" for key in keys[:LISTED]), *more]


def _with_hint(key: str, shape: Shape, extra: Sequence[str], found: Mapping[str, Shape]) -> str:
    """Gives a missing key, and the most similar unused name of the same shape."""
    near = get_close_matches(key, [name for name in extra if found[name] == shape], 1)
    return f"{key} (renamed? the file has {near[0]})" if near else key
