"""Checkpoints -> networks on a device, and back. Strict: every key and shape must match."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from safetensors.torch import save as serialize_weights

from pipeline.generator.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint
from pipeline.generator.networks import VideoGenerator
from schemas.errors import CheckpointError

_DEAD_WEIGHT = ("running_mean", "running_var", "num_batches_tracked")  # never read; may be missing in files
_LISTED = 10


def check_weights(checkpoint: Checkpoint) -> None:
    """Compares keys and shapes with the architecture, without reading weights. Raises CheckpointError listing all."""
    with torch.device("meta"):
        wanted = {k: tuple(v.shape) for k, v in VideoGenerator(checkpoint.config).state_dict().items()}
    missing = [k for k in wanted if k not in checkpoint.shapes and not k.endswith(_DEAD_WEIGHT)]
    extra = [k for k in checkpoint.shapes if k not in wanted and not k.endswith(_DEAD_WEIGHT)]
    other = [
        f"{k}: {s} in the file, {wanted[k]} in the network"
        for k, s in checkpoint.shapes.items()
        if wanted.get(k, s) != s
    ]
    parts = [("missing", missing), ("not in the network", extra), ("of another shape", other)]
    if any(keys for _, keys in parts):
        lines = [f"{checkpoint.store.uri}: weights do not match {CONFIG_FILE}"]
        for what, keys in parts:
            more = f", and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
            lines += [f"  {len(keys)} {what}: {', '.join(keys[:_LISTED])}{more}"] if keys else []
        raise CheckpointError("\n".join(lines))


def load_generator(checkpoint: Checkpoint, device: str) -> VideoGenerator:
    """The generator in float32 on ``device``, ready to render. Raises CheckpointError if it does not match."""
    check_weights(checkpoint)
    with torch.device("meta"):
        generator = VideoGenerator(checkpoint.config)
    try:
        weights = parse_weights(checkpoint.weights())
    except SafetensorError as error:
        raise CheckpointError(f"{checkpoint.store.url(WEIGHTS_FILE)}: {error}") from None
    dead = {k: torch.zeros(v.shape) for k, v in generator.state_dict().items() if k.endswith(_DEAD_WEIGHT)}
    live = {k: v.float() for k, v in weights.items() if not k.endswith(_DEAD_WEIGHT)}
    generator.load_state_dict(dead | live, strict=True, assign=True)
    return generator.to(device).requires_grad_(False)


def save_checkpoint(folder: Path, generator: VideoGenerator, dtype: torch.dtype = torch.float32) -> None:
    """Writes a checkpoint directory; weights are stored as ``dtype`` (float16 halves the file)."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        key: value.detach().to(dtype).contiguous()
        for key, value in generator.state_dict().items()
        if not key.endswith(_DEAD_WEIGHT)
    }
    (folder / WEIGHTS_FILE).write_bytes(serialize_weights(weights))
    (folder / CONFIG_FILE).write_text(generator.config.model_dump_json(indent=2) + "\n")
