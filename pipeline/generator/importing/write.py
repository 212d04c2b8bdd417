"""Writes a checkpoint directory: the weights, then the configuration, which marks it as complete."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel
from safetensors.torch import save as serialize_weights
from torch import Tensor

from flowreel.pipeline.generator.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from flowreel.pipeline.generator.importing.pth import Weights
from flowreel.pipeline.storage import Store
from flowreel.pipeline.weight_names import LISTED
from flowreel.schemas.errors import CheckpointError

TABLES = "features."  # what the keys of feature tables begin with


@dataclass(frozen=True)
class Written:
    """The checkpoint that was written."""

    size: int  # bytes of the weights file
    sha256: str  # of the weights file


def check_free(dest: Store, overwrite: bool) -> None:
    """Raises CheckpointError if there is already a checkpoint, whole or in part, that must not be overwritten."""
    existing = [name for name in (CONFIG_FILE, WEIGHTS_FILE) if dest.exists(name)]
    if existing and not overwrite:
        raise CheckpointError(f"{dest.uri} has a {existing[0]} already: choose another place, or add --overwrite")


def write_checkpoint(dest: Store, config: BaseModel, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Written:
    """Writes a checkpoint over what is there. Raises StorageError if it cannot be written; then no checkpoint is
    left in its place."""
    data = serialize_weights(_apart(tensors, dtype))
    dest.delete(CONFIG_FILE)  # until the new one exists, the old weights must not pass for a checkpoint
    dest.write(WEIGHTS_FILE, data)
    text = config.model_dump_json(indent=2) + "\n"
    dest.write(CONFIG_FILE, text.encode())
    return Written(len(data), hashlib.sha256(data).hexdigest())


def _apart(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Gives each tensor memory of its own, which the format requires; .pth files may let several share theirs.

    Feature tables stay float32: they are small, and searched for the nearest.
    """
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, tensor in tensors.items():
        stored = tensor.to(torch.float32 if key.startswith(TABLES) else dtype).contiguous()
        place = stored.untyped_storage().data_ptr()
        apart[key] = stored.clone() if place in seen else stored
        seen.add(place)
    return apart


def check_numbers(weights: Weights, dtype: torch.dtype) -> None:
    """Raises CheckpointError naming the tensors with NaN, infinite values, or values that ``dtype`` cannot hold."""
    most = torch.finfo(dtype).max
    bad, beyond = [], []
    for key, tensor in weights.tensors.items():
        low, high = (float(value) for value in tensor.aminmax()) if tensor.numel() else (0.0, 0.0)
        if not (math.isfinite(low) and math.isfinite(high)):  # NaN anywhere makes both NaN
            bad.append(key)
        elif max(-low, high) > most:
            beyond.append(key)
    if bad:
        raise CheckpointError(
            f"{weights.name}: NaN or infinite values in {_some(bad)}; training diverged before it was saved: take an"
            " earlier one with --epoch"
        )
    if beyond:
        raise CheckpointError(
            f"{weights.name}: values beyond {most:g}, the largest of {dtype}, in {_some(beyond)}; "
            + ("say --dtype float32" if dtype != torch.float32 else "no network was trained to such values")
        )


def _some(keys: Sequence[str]) -> str:
    more = f", and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return ", ".join(keys[:LISTED]) + more
