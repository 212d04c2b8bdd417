"""Compares every key and shape of the files with the networks of the configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowreel.pipeline.generator.importing.pth import Weights
from flowreel.pipeline.weight_names import Shape, differences
from flowreel.schemas.errors import CheckpointError


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
