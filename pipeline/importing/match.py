"""Compares every key and shape of the files with the networks of the configuration."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pipeline.importing.keys import Shape
from pipeline.importing.pth import Weights
from schemas.errors import CheckpointError

LISTED = 10


@dataclass(frozen=True)
class Part:
    """One file as one network of a generator."""

    label: str  # G0, G1, ..., S, E: what its keys begin with in a checkpoint directory
    weights: Weights


def check_match(parts: Sequence[Part], wanted: Mapping[str, Shape]) -> None:
    """Raises CheckpointError listing, per file, what is missing, not in the network, of another shape, or renamed.

    ``wanted``: shapes by key with label, such as `G0.model_down_seg.1.weight`.
    """
    report: list[str] = []
    for part in parts:
        prefix = part.label + "."
        own = {key.removeprefix(prefix): shape for key, shape in wanted.items() if key.startswith(prefix)}
        if lines := differences(part.weights.shapes, own):
            report += [f"{part.weights.name} does not have the weights of {part.label}:", *lines]
    if report:
        raise CheckpointError("\n".join(report))


def differences(found: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> list[str]:
    """One line per kind of difference, and then some of them; [] if there is none."""
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    other = [key for key, shape in found.items() if wanted.get(key, shape) != shape]
    return [
        *_group("missing", missing, lambda key: _with_hint(key, wanted[key], extra, found)),
        *_group("not in the network", extra),
        *_group("of another shape", other, lambda key: f"{key}: {found[key]} here, {wanted[key]} in the network"),
    ]


def _group(what: str, keys: Sequence[str], line: Callable[[str], str] = str) -> list[str]:
    if not keys:
        return []
    more = [f"    and {len(keys) - LISTED} more"] if len(keys) > LISTED else []
    return [f"  {len(keys)} {what}", *(f"    {line(key)}" for key in keys[:LISTED]), *more]


def _with_hint(key: str, shape: Shape, extra: Sequence[str], found: Mapping[str, Shape]) -> str:
    """A missing key, and the most similar name of the same shape among those that nobody asked for."""
    near = get_close_matches(key, [name for name in extra if found[name] == shape], 1)
    return f"{key} (renamed? the file has {near[0]})" if near else key
