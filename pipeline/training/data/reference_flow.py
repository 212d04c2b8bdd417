"""Reference flow between real frames: where each pixel of the current frame was in the one before.

The original uses a frozen FlowNet2, and says that any provider will do (vid2vid-spec, section 10.3). DIS needs no
weights; RAFT's come from a local file.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flowreel.pipeline.generator.conditioning import from_uint8
from flowreel.pipeline.generator.importing.pth import read_state_dict
from flowreel.pipeline.optical_flow import Flow, dis_flow, leads_back
from flowreel.pipeline.storage import Store, open_file
from flowreel.schemas.errors import CheckpointError, StorageError, UsageError
from flowreel.schemas.extras import pip_install
from flowreel.schemas.training_data import DataSpec

Rgb = NDArray[np.uint8]
_MULTIPLE, _LEAST = 8, 128  # sides that RAFT's feature pyramid takes


class FlowMethod(Protocol):
    """A method of backward flow current -> previous, in pixels, and where it can be trusted. Processes may send it
    to each other."""

    @property
    def name(self) -> str:
        """Names the method; changes when its flows do."""

    def __call__(self, current_HW3: Rgb, previous_HW3: Rgb) -> Flow: ...


@dataclass(frozen=True)
class Dis:
    """OpenCV's DIS."""

    name: str = "dis"

    def __call__(self, current_HW3: Rgb, previous_HW3: Rgb) -> Flow:
        return dis_flow(current_HW3, previous_HW3)


dis = Dis()


@dataclass(frozen=True)
class Raft:
    """torchvision's RAFT (large; Teed and Deng, ECCV 2020), on a GPU if there is one."""

    store: Store
    file: str
    digest: str  # SHA-256 of the weights file

    @property
    def name(self) -> str:
        return f"raft-{self.digest[:16]}"

    @torch.inference_mode()
    def __call__(self, current_HW3: Rgb, previous_HW3: Rgb) -> Flow:
        network = _raft(self.store, self.file, self.digest)
        h, w = current_HW3.shape[:2]
        frames_23HW = from_uint8(torch.from_numpy(np.stack((current_HW3, previous_HW3))).movedim(-1, 1))
        right, below = (max(_LEAST, -(-side // _MULTIPLE) * _MULTIPLE) - side for side in (w, h))
        frames_23HW = F.pad(frames_23HW, (0, right, 0, below), mode="replicate")
        frames_23HW = frames_23HW.to(next(network.parameters()).device)
        flow_22HW = network(frames_23HW, frames_23HW.flip(0))[-1][..., :h, :w]
        back, forth = flow_22HW.movedim(1, -1).float().cpu().numpy()
        return np.ascontiguousarray(back), leads_back(back, np.ascontiguousarray(forth))


def open_method(data: DataSpec, options: Mapping[str, Any] | None = None) -> FlowMethod:
    """Opens the method that a spec names. Raises UsageError if RAFT's weights cannot be read or torchvision is
    missing."""
    if data.flow_weights is None:
        return dis
    store, file = open_file(data.flow_weights, options)
    try:
        digest = hashlib.sha256(store.read(file)).hexdigest()
    except StorageError as error:
        raise UsageError(f"data.flow_weights: {error}") from None
    _raft(store, file, digest)
    return Raft(store, file, digest)


def flow_between(current_B3HW: Tensor, previous_B3HW: Tensor, method: FlowMethod = dis) -> tuple[Tensor, Tensor]:
    """Computes backward flow (B, 2, H, W) in pixels and its confidence (B, 1, H, W), 0 or 1, of frames in [-1, 1]."""
    found = [method(_rgb(c), _rgb(p)) for c, p in zip(current_B3HW, previous_B3HW, strict=True)]
    flow_B2HW = torch.from_numpy(np.stack([flow for flow, _ in found])).movedim(-1, 1)
    sure_B1HW = torch.from_numpy(np.stack([sure for _, sure in found])).unsqueeze(1)
    return flow_B2HW.to(current_B3HW), sure_B1HW.to(current_B3HW)


def _rgb(image_3HW: Tensor) -> Rgb:
    """Converts to the nearest 8-bit image, (H, W, 3)."""
    levels = ((image_3HW.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.movedim(0, -1).cpu().contiguous().numpy()


@lru_cache(maxsize=1)  # once per process, not per pair
def _raft(store: Store, file: str, digest: str) -> torch.nn.Module:
    """Loads RAFT. Raises UsageError without torchvision, CheckpointError for a file that holds other weights."""
    try:
        from torchvision.models.optical_flow import raft_large
    except (ImportError, RuntimeError) as error:  # a build for another torch lacks operators
        raise UsageError(
            f"data.flow: raft needs torchvision, which cannot be loaded: {error}\n"
            f"  {pip_install('train')}, in the build that fits your torch; or set data.flow: dis"
        ) from None
    network = raft_large(weights=None, progress=False).eval().requires_grad_(False)
    data = store.read(file)
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(f"{store.url(file)}: changed since it was opened; run the command again")
    _fill(network, data, store.url(file))
    return network.to("cuda" if torch.cuda.is_available() else "cpu")


def _fill(network: torch.nn.Module, data: bytes, name: str) -> None:
    """Loads weights into the network. Raises CheckpointError for weights of another network."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            network.load_state_dict(read_state_dict(Path(file.name), name))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"{name}: not the weights of torchvision's raft_large: {reason}") from None
