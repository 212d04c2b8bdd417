"""Loads checkpoints as networks on a device, and saves them. Strict: every key and shape must match."""

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from safetensors.torch import save as serialize_weights
from torch import nn

from flowreel.pipeline.generator.checkpoint import CONFIG_FILE, LAYOUT, WEIGHTS_FILE, Checkpoint, layout_of
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.generator.families import AnyGenerator, build
from flowreel.pipeline.generator.features import FeatureTables
from flowreel.pipeline.generator.image_config import ImageCheckpointConfig
from flowreel.pipeline.generator.image_networks import Encoder, ImageGenerator
from flowreel.pipeline.storage import Store
from flowreel.pipeline.weight_names import Shape, differences
from flowreel.schemas.errors import CheckpointError

DEAD_WEIGHT = ("running_mean", "running_var", "num_batches_tracked")  # never read; may be missing in files


def compare_weights(checkpoint: Checkpoint) -> None:
    """Does the work of `check_weights` by building the networks."""
    wanted = wanted_shapes(checkpoint.config)
    found = {k: shape for k, shape in checkpoint.shapes.items() if not k.endswith(DEAD_WEIGHT)}
    if lines := differences(found, wanted):
        raise CheckpointError("\n".join([f"{checkpoint.store.uri}: weights do not match {CONFIG_FILE}", *lines]))


def wanted_shapes(config: AnyConfig | ImageCheckpointConfig) -> dict[str, Shape]:
    """Gives every key that a checkpoint of this architecture must have, with its shape."""
    with torch.device("meta"):
        state = (_alone(config) if isinstance(config, ImageCheckpointConfig) else build(config)).state_dict()
    return {k: tuple(v.shape) for k, v in state.items() if not k.endswith(DEAD_WEIGHT)}


def _alone(config: ImageCheckpointConfig) -> nn.ModuleDict:
    """Builds the networks of a generator of single images, named as within a video generator."""
    single = config.single
    networks: dict[str, nn.Module] = {"S": ImageGenerator(single)}
    if single.encoder:
        networks["E"] = Encoder(single.encoder)
    if single.feature_rows:
        networks["features"] = FeatureTables(single)
    return nn.ModuleDict(networks)


def load_generator(checkpoint: Checkpoint, device: str) -> AnyGenerator:
    """Loads the generator in float32 on ``device``, ready to render. Raises CheckpointError if it does not match."""
    compare_weights(checkpoint)
    with torch.device("meta"):
        generator = build(checkpoint.config)
    try:
        weights = parse_weights(checkpoint.weights())
    except SafetensorError as error:
        raise CheckpointError(f"{checkpoint.store.url(WEIGHTS_FILE)}: {error}") from None
    dead = {k: torch.zeros(v.shape) for k, v in generator.state_dict().items() if k.endswith(DEAD_WEIGHT)}
    live = {k: v.float() for k, v in weights.items() if not k.endswith(DEAD_WEIGHT)}
    generator.load_state_dict(dead | live, strict=True, assign=True)
    return generator.to(device).requires_grad_(False)


def save_checkpoint(store: Store, generator: AnyGenerator, dtype: torch.dtype = torch.float32) -> None:
    """Writes a checkpoint directory; weights are stored as ``dtype`` (bfloat16 and float16 halve the file)."""
    weights = {
        key: value.detach().to(dtype).contiguous()
        for key, value in generator.state_dict().items()
        if not key.endswith(DEAD_WEIGHT)
    }
    layout = layout_of(generator.config, {key: tuple(value.shape) for key, value in weights.items()})
    store.write(WEIGHTS_FILE, serialize_weights(weights, {LAYOUT: layout}))
    store.write(CONFIG_FILE, (generator.config.model_dump_json(indent=2) + "\n").encode())
