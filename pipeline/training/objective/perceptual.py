"""Perceptual loss: how far images are from real ones in a network's features. The network's weights come from a given
file.

The network is torchvision's VGG19, as in the original (vid2vid-spec, section 10.5), or VGG16, EfficientNet-Lite2, or a
segmenter that was trained on real frames.
"""

import io
import json
import pickle
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from torch import Tensor, nn

from flowreel.pipeline.quality.segmenter_network import load_segmenter
from flowreel.pipeline.storage import open_file
from flowreel.pipeline.training.objective.feature_networks import EfficientNetLite2, Vgg16, Vgg19
from flowreel.pipeline.training.objective.losses import mean_difference
from flowreel.pipeline.weight_names import differences
from flowreel.schemas.errors import CheckpointError, StorageError, UsageError
from flowreel.schemas.training import LossSpec

FAMILIES: dict[
    str, type[EfficientNetLite2 | Vgg16 | Vgg19]
] = {  # by a key that the others' files lack; VGG19 is the original's choice, and what other files are measured by
    "_conv_stem.weight": EfficientNetLite2,
    "features.17.weight": Vgg16,
    "features.16.weight": Vgg19,
}


class FeatureNetwork(Protocol):
    """A frozen network that gives features."""

    def features(self, x_B3HW: Tensor) -> list[Tensor]:
        """Computes layers of images in [-1, 1], shallow to deep."""


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
        return self.between(self.network.features(torch.cat(list(fakes))), wanted, len(fakes))

    def between(self, found: Sequence[Tensor], wanted: Sequence[Tensor], sets: int) -> Tensor:
        """Measures layers of ``sets`` sets of generated images against those of the real ones."""
        weights = self.weights or [1 / len(wanted)] * len(wanted)
        parts = [
            weight * mean_difference(made.unflatten(0, (sets, -1)), real)
            for weight, made, real in zip(weights, found, wanted, strict=True)
        ]
        return torch.stack(parts).sum()


def open_perceptual(spec: LossSpec, options: Mapping[str, Any] | None = None) -> Perceptual | None:
    """Opens the network that a spec names; None without weights.

    Raises UsageError for a file that cannot be read, CheckpointError for one that holds something else.
    """
    if spec.perceptual_weights is None or not spec.perceptual:
        return None
    return _open(spec.perceptual_weights, "losses.perceptual_weights", options)


def open_frozen(spec: LossSpec, options: Mapping[str, Any] | None = None) -> Perceptual | None:
    """Opens the network whose features the segmentation critic sees; None without weights. Raises what
    `open_perceptual` does."""
    if spec.segmentation_weights is None:
        return None
    found = _open(spec.segmentation_weights, "losses.segmentation_weights", options)
    if not isinstance(found.network, EfficientNetLite2):
        raise CheckpointError(f"losses.segmentation_weights {spec.segmentation_weights}: must be EfficientNet-Lite2's")
    return found


def _open(place: str, field: str, options: Mapping[str, Any] | None) -> Perceptual:
    store, file = open_file(place, options)
    try:
        return load_perceptual(store.read(file), store.url(file))
    except StorageError as error:
        raise UsageError(f"{field}: {error}") from None


def load_perceptual(data: bytes, name: str) -> Perceptual:
    """Loads it from a file's bytes, frozen. Raises CheckpointError with ``name`` if they are of no such network."""
    if _kind(data) == "segmenter":
        return Perceptual(load_segmenter(data, name))
    found = _tensors(data, name)
    family = next((family for key, family in FAMILIES.items() if key in found), Vgg19)
    with torch.device("meta"):
        network = family()
    used = {
        key.replace(family.in_file, family.here, 1): value
        for key, value in found.items()
        if not key.startswith(family.unused)
    }
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    if lines := differences({key: tuple(value.shape) for key, value in used.items()}, wanted):
        known = "torchvision's VGG19 or VGG16, EfficientNet-Lite2, or a segmenter"
        raise CheckpointError("\n".join([f"{name}: not weights of {known}; compared with {family.__name__}", *lines]))
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in used.items()}, assign=True)
    return Perceptual(network.requires_grad_(False), family.weights)


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
