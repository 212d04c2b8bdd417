"""Writes checkpoint files as the original programs do: one state_dict per network, statistics included."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.image_config import EncoderConfig, ImageGeneratorConfig
from flowreel.pipeline.generator.image_networks import Encoder, ImageGenerator
from flowreel.pipeline.generator.layers import PlainNorm
from flowreel.pipeline.generator.networks import VideoGenerator

State = dict[str, Tensor]
CITY = GeneratorConfig(ngf=8, n_downsample=3, n_blocks=3, n_blocks_local=2, n_scales=3)
SINGLE_LOCAL = ImageGeneratorConfig(kind="local", ngf=2, n_downsample=2, n_blocks=2, n_blocks_local=1)
FACE_SINGLE = ImageGeneratorConfig(
    kind="global_with_features", input_nc=15, ngf=4, n_downsample=2, n_blocks=2, feat_num=5,
    encoder=EncoderConfig(ngf=2, n_downsample=2, output_nc=5), feature_rows=(4, 3, 3, 3, 3, 3, 3),
)  # fmt: skip
FACE = GeneratorConfig(
    label_space="face", label_nc=0, input_nc=15, use_instance=False, fg_labels=(), ngf=4, n_downsample=2, n_blocks=2,
    single=FACE_SINGLE,
)  # fmt: skip
POSE = GeneratorConfig(
    label_space="pose", label_nc=0, input_nc=6, use_instance=False, fg_labels=(), ngf=4, n_downsample=2, n_blocks=4,
    n_scales=2, n_blocks_local=1,
)  # fmt: skip


def build(config: GeneratorConfig) -> VideoGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        generator = VideoGenerator(config)
        for tensor in generator.state_dict().values():
            if tensor.is_floating_point():
                tensor.normal_()
    return generator


def build_image(config: ImageGeneratorConfig) -> ImageGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return ImageGenerator(config)


def state(network: nn.Module) -> State:
    """Its state_dict, with the running statistics that the original's norms without weights have."""
    found = dict(network.state_dict())
    for name, module in network.named_modules():
        if isinstance(module, PlainNorm):
            found[f"{name}.running_mean"] = torch.full((module.channels,), 0.3)
            found[f"{name}.running_var"] = torch.full((module.channels,), 0.7)
            found[f"{name}.num_batches_tracked"] = torch.tensor(7)
    return found


def same(x: Any) -> Any:
    return x


def write_official(
    folder: Path, generator: VideoGenerator, change: Callable[[State], State] = same, legacy: bool = False
) -> Path:
    """`latest_net_G0.pth`, ..., and first-frame files if it has such networks. ``change``: applied to each file."""
    for label, network in generator.named_children():
        if isinstance(network, ImageGenerator | Encoder):
            write_pth(folder / f"latest_net_{'G' if label == 'S' else 'E'}.pth", change(state(network)), legacy)
        elif label.startswith("G"):
            write_pth(folder / f"latest_net_{label}.pth", change(state(network)), legacy)
    if generator.features is not None:
        tables = [table.numpy() for table in generator.features.tables()]
        write_features(folder / "features.npy", {i: table for i, table in enumerate(tables)})
    return folder


def write_pth(file: Path, found: object, legacy: bool = False) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(found, file, _use_new_zipfile_serialization=not legacy)
    return file


def write_features(file: Path, tables: dict[int, np.ndarray]) -> None:
    """With the last column, the area, that nobody reads."""
    with_area = {i: np.concatenate([t, np.full((len(t), 1), 0.5, t.dtype)], axis=1) for i, t in tables.items()}
    np.save(file, np.array(with_area, object), allow_pickle=True)


def learned(module: nn.Module) -> State:
    """What counts: all but the statistics that nobody reads."""
    dead = ("running_mean", "running_var", "num_batches_tracked")
    return {key: value for key, value in module.state_dict().items() if not key.endswith(dead)}
