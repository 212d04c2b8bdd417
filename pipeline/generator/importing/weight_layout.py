"""Reads a network's layout from the names and shapes of its weights."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from flowreel.pipeline.generator.importing.pth import Weights
from flowreel.pipeline.weight_names import Shape
from flowreel.schemas.errors import CheckpointError


def shape_of(weights: Weights, key: str, what: str) -> Shape:
    """Gives the shape of the convolution weight that shows the layout: (out, in, height, width)."""
    shape = weights.shapes.get(key)
    if shape is None:
        near = get_close_matches(key, weights.tensors, 1)
        hint = f"; the nearest name there is {near[0]}" if near else ""
        raise CheckpointError(f"{weights.name}: {key} is missing, {what}{hint}")
    if len(shape) != 4:
        raise CheckpointError(f"{weights.name}: {key} has shape {shape}; a convolution has four sides ({what})")
    return shape


def has(weights: Weights, prefix: str) -> bool:
    """Tells whether there is a module of this name."""
    return any(key.startswith(prefix + ".") for key in weights.tensors)


def convolutions(weights: Weights, module: str) -> list[int]:
    """Gives the positions of a sequence's own convolutions: those with a four-dimensional weight."""
    return _positions(module, (key for key, shape in weights.shapes.items() if len(shape) == 4), r"weight")


def blocks(weights: Weights, module: str) -> list[int]:
    """Gives the positions of a sequence's residual blocks."""
    return _positions(module, weights.tensors, r"conv_block\..*")


def downs(weights: Weights, module: str) -> int:
    """Counts stride-2 steps of a sequence: they follow the first convolution, at 4, 7, ..., up to its residual
    blocks."""
    found = blocks(weights, module)
    return (found[0] - 4) // 3 if found else len([i for i in convolutions(weights, module) if i > 1])


def _positions(module: str, keys: Iterable[str], rest: str) -> list[int]:
    matches = (re.fullmatch(rf"{re.escape(module)}\.(\d+)\.{rest}", key) for key in keys)
    return sorted({int(match[1]) for match in matches if match})
