"""Perceptual loss: how far images are from real ones in a network's features. The network's weights come from a given
file.

Either torchvision's VGG19, as in the original (vid2vid-spec, section 10.5), or a segmenter trained on real frames.
"""

import io
import json
import pickle
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from torch import Tensor, nn

from flowreel.pipeline.quality.segmenter_network import load_segmenter
from flowreel.pipeline.storage import open_file
from flowreel.pipeline.training.objective.losses import mean_difference
from flowreel.pipeline.weight_names import differences
from flowreel.schemas.errors import CheckpointError, StorageError, UsageError
from flowreel.schemas.training import LossSpec

VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,))  # up to relu5_1
VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of each stage's first layer
VGG_UNUSED = ("features.30.", "features.32.", "features.34.", "classifier.")  # of torchvision's file
WIDEST = 1024  # pixels: wider images are halved


class FeatureNetwork(Protocol):
    """A frozen network that gives features."""

    def features(self, x_B3HW: Tensor) -> list[Tensor]:
        """Computes layers of images in [-1, 1], shallow to deep."""


class Vgg19(nn.Module):
    """The first 13 convolutions of VGG19; ``layers`` has torchvision's indices."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.seen, channels = nn.Sequential(), set[int](), 3
        for stage in VGG_STAGES:
            if len(self.layers):
                self.layers.append(nn.MaxPool2d(2))
            self.seen.add(len(self.layers) + 1)
            for width in stage:
                self.layers.append(nn.Conv2d(channels, width, 3, padding=1))
                self.layers.append(nn.ReLU(inplace=True))
                channels = width

    def features(self, x_B3HW: Tensor) -> list[Tensor]:
        """Computes relu1_1, relu2_1, ..., relu5_1. Images come as they are, without ImageNet's mean and deviation."""
        while x_B3HW.shape[-1] > WIDEST:
            x_B3HW = F.avg_pool2d(x_B3HW, 2)
        found = []
        for i, layer in enumerate(self.layers):
            x_B3HW = layer(x_B3HW)
            if i in self.seen:
                found.append(x_B3HW)
        return found


class Perceptual(nn.Module):
    """Weighted mean absolute differences of features."""

    def __init__(self, network: FeatureNetwork, weights: Sequence[float] | None = None) -> None:
        """Sets the network. ``weights``: of the layers; None counts all alike."""
        super().__init__()
        self.network, self.weights = network, weights

    def forward(self, fakes: Sequence[Tensor], real_B3HW: Tensor) -> Tensor:
        """Averages over sets of generated images, each (B, 3, H, W) as the real ones, which are constant."""
        with torch.no_grad():
            wanted = self.network.features(real_B3HW)
        found = self.network.features(torch.cat(list(fakes)))
        weights = self.weights or [1 / len(wanted)] * len(wanted)
        parts = [
            weight * mean_difference(made.unflatten(0, (len(fakes), -1)), real)
            for weight, made, real in zip(weights, found, wanted, strict=True)
        ]
        return torch.stack(parts).sum()


def open_perceptual(spec: LossSpec, options: Mapping[str, Any] | None = None) -> Perceptual | None:
    """Opens the network that a spec names; None without weights.

    Raises UsageError for a file that cannot be read, CheckpointError for one that holds something else.
    """
    if spec.perceptual_weights is None or not spec.perceptual:
        return None
    store, file = open_file(spec.perceptual_weights, options)
    try:
        return load_perceptual(store.read(file), store.url(file))
    except StorageError as error:
        raise UsageError(f"losses.perceptual_weights: {error}") from None


def load_perceptual(data: bytes, name: str) -> Perceptual:
    """Loads it from a file's bytes, frozen. Raises CheckpointError with ``name`` if they are of neither network."""
    if _kind(data) == "segmenter":
        return Perceptual(load_segmenter(data, name))
    found = _tensors(data, name)
    with torch.device("meta"):
        vgg = Vgg19()
    used = {key.removeprefix("features."): value for key, value in found.items() if not key.startswith(VGG_UNUSED)}
    wanted = {key: tuple(value.shape) for key, value in vgg.layers.state_dict().items()}
    if lines := differences({key: tuple(value.shape) for key, value in used.items()}, wanted):
        raise CheckpointError("\n".join([f"{name}: weights of neither torchvision's VGG19 nor a segmenter", *lines]))
    vgg.layers.load_state_dict({key: value.float() for key, value in used.items()}, assign=True)
    return Perceptual(vgg.requires_grad_(False), VGG_WEIGHTS)


def _is_safetensors(data: bytes) -> bool:
    """Tells whether bytes look like a safetensors file."""
    return data[8:9] == b"{"


def _kind(data: bytes) -> str | None:
    """Reads what a safetensors file says it is; None for other files, and those that do not say."""
    if not _is_safetensors(data):
        return None
    (length,) = struct.unpack_from("<Q", data)
    try:
        return json.loads(data[8 : 8 + length]).get("__metadata__", {}).get("kind")
    except ValueError:
        return None


def _tensors(data: bytes, name: str) -> dict[str, Tensor]:
    """Reads tensors from a safetensors file, or from one that torch.save wrote; nothing in it is run."""
    try:
        if _is_safetensors(data):
            return parse_weights(data)
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError, TypeError, ValueError) as error:
        raise CheckpointError(f"{name}: not a file of weights, or damaged: {str(error)[:200]}") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{name} holds no weights by name; save a network's state_dict()")
    return found
