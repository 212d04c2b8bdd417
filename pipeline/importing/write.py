"""Writes a checkpoint directory: the weights, then the configuration, which marks it as complete."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pydantic import BaseModel
from safetensors.torch import save as serialize_weights
from torch import Tensor

from pipeline.generator.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from pipeline.storage import Store
from schemas.errors import CheckpointError


@dataclass(frozen=True)
class Written:
    """What lies there now."""

    size: int  # bytes of the weights file
    sha256: str  # of the weights file


def check_free(dest: Store, overwrite: bool) -> None:
    """Raises CheckpointError if there is a checkpoint already, whole or in part, that must not be overwritten."""
    there = [name for name in (CONFIG_FILE, WEIGHTS_FILE) if dest.exists(name)]
    if there and not overwrite:
        raise CheckpointError(f"{dest.uri} has a {there[0]} already: choose another place, or say --overwrite")


def write_checkpoint(dest: Store, config: BaseModel, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Written:
    """Replaces what is there. Raises StorageError if it cannot be written; then no checkpoint is left in its place."""
    data = serialize_weights(_apart(tensors, dtype))
    dest.delete(CONFIG_FILE)  # until the new one is there, the old weights must not pass for a checkpoint
    dest.write(WEIGHTS_FILE, data)
    text = config.model_dump_json(indent=2) + "\n"
    dest.write(CONFIG_FILE, text.encode())
    return Written(len(data), hashlib.sha256(data).hexdigest())


def _apart(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Each tensor with memory of its own, which the format asks for; .pth files may let several share theirs."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, tensor in tensors.items():
        stored = tensor.to(dtype).contiguous()
        place = stored.untyped_storage().data_ptr()
        apart[key] = stored.clone() if place in seen else stored
        seen.add(place)
    return apart


def check_range(name: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Raises CheckpointError naming the tensors with values beyond ``dtype``, which would become infinite."""
    most = torch.finfo(dtype).max
    beyond = [key for key, tensor in tensors.items() if tensor.numel() and float(tensor.abs().max()) > most]
    if beyond:
        raise CheckpointError(
            f"{name}: values beyond {most:g}, the largest of {dtype}, in {', '.join(beyond[:10])}; say --dtype float32"
        )
