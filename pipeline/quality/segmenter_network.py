"""A small segmentation network that labels real frames per pixel. It measures renders, and its features can teach.

A U-Net (Ronneberger et al., MICCAI 2015) with four levels. Its file is safetensors, with its facts as metadata.
"""

import json
import struct
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from safetensors.torch import save as serialize_weights
from torch import Tensor, nn

from flowreel.pipeline.weight_names import differences
from flowreel.schemas.errors import CheckpointError
from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Side
from flowreel.schemas.problems import problem_lines

IGNORED = -1  # target of pixels whose class the network does not know
LEVELS = 4


class SegmenterFacts(Model):
    """Facts of a segmenter and its training: the metadata of its file."""

    kind: Literal["segmenter"] = "segmenter"
    label_space: str
    classes: tuple[Annotated[int, Field(ge=0, le=65_535)], ...] = Field(
        min_length=1, max_length=65_536, description="label id of each channel of the logits"
    )
    size: tuple[Side, Side] = Field(description="width, height of the frames that it was trained on")
    sequences: tuple[str, ...] = Field((), description="names of the sequences that it was trained on")
    width: Annotated[int, Field(ge=1, le=1024)] = Field(
        16, description="channels of the finest level; doubled at each coarser one"
    )


class Segmenter(nn.Module):
    """Frames (B, 3, H, W) in [-1, 1] -> logits (B, C, H, W), C = number of ``facts.classes``. Any size from 8x8 on."""

    def __init__(self, facts: SegmenterFacts) -> None:
        super().__init__()
        self.facts = facts
        widths = [facts.width * 2**level for level in range(LEVELS)]
        ways_in = [3, *widths[:-1]]
        self.down = nn.ModuleList(_block(i, o) for i, o in zip(ways_in, widths, strict=True))
        self.up = nn.ModuleList(_block(o + i, i) for i, o in zip(widths[-2::-1], widths[:0:-1], strict=True))
        self.head = nn.Conv2d(facts.width, len(facts.classes), 1)

    def features(self, x_B3HW: Tensor) -> list[Tensor]:
        """Computes maps of the contracting path, shallow to deep: (B, width * 2**i, H / 2**i, W / 2**i), not
        negative."""
        maps = [self.down[0](x_B3HW)]
        for block in self.down[1:]:
            maps.append(block(F.max_pool2d(maps[-1], 2)))
        return maps

    def forward(self, x_B3HW: Tensor) -> Tensor:
        *finer, x = self.features(x_B3HW)
        for block, skipped in zip(self.up, reversed(finer), strict=True):
            wide = F.interpolate(x, size=skipped.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat((wide, skipped), dim=1))
        return self.head(x)

    def predict(self, x_B3HW: Tensor) -> Tensor:
        """Predicts the most likely label id of each pixel, int64 (B, H, W)."""
        return torch.tensor(self.facts.classes, device=x_B3HW.device)[self(x_B3HW).argmax(dim=1)]


def targets(label_BHW: Tensor, classes: Sequence[int]) -> Tensor:
    """Maps label ids to channels of the logits, int64; IGNORED where an id has none."""
    label_BHW = label_BHW.long()
    highest = max(int(label_BHW.max()), *classes)
    table = torch.full((highest + 1,), IGNORED, device=label_BHW.device)
    table[list(classes)] = torch.arange(len(classes), device=label_BHW.device)
    return table[label_BHW]


def save_segmenter(segmenter: Segmenter) -> bytes:
    """Serialises a segmenter as a safetensors file."""
    facts = segmenter.facts.model_dump(mode="json")
    metadata = {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
    weights = {name: value.detach().cpu().contiguous() for name, value in segmenter.state_dict().items()}
    return serialize_weights(weights, metadata)


def load_segmenter(data: bytes, name: str = "segmenter") -> Segmenter:
    """Loads a segmenter from a file's bytes, frozen and in eval mode. Raises CheckpointError with ``name`` if
    anything does not match."""
    try:
        weights = parse_weights(data)
    except SafetensorError as error:
        raise CheckpointError(f"{name}: not a safetensors file, or cut short: {error}") from None
    facts = _facts(data, name)
    with torch.device("meta"):  # what its metadata promises takes memory only if the weights have it too
        wanted = {key: tuple(value.shape) for key, value in Segmenter(facts).state_dict().items()}
    if lines := differences({key: tuple(value.shape) for key, value in weights.items()}, wanted):
        raise CheckpointError("\n".join([f"{name}: weights do not match its metadata", *lines]))
    segmenter = Segmenter(facts)
    segmenter.load_state_dict(weights)
    return segmenter.eval().requires_grad_(False)


def _facts(data: bytes, name: str) -> SegmenterFacts:
    """Parses the header, whose length safetensors has checked."""
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    if metadata.get("kind") != "segmenter":
        raise CheckpointError(
            f"{name}: no segmenter: its metadata says kind {metadata.get('kind')!r}, where 'segmenter' is needed;"
            " train one with `flowreel segmenter DATA OUT`"
        )
    try:
        facts = {k: v if k in ("kind", "label_space") else json.loads(v) for k, v in metadata.items()}
        return SegmenterFacts.model_validate(facts)
    except ValidationError as error:
        lines = problem_lines(SegmenterFacts, error)
        raise CheckpointError("\n  ".join([f"{name}: its metadata is not that of a segmenter:", *lines])) from None
    except ValueError as error:
        raise CheckpointError(f"{name}: unreadable segmenter metadata: {error}") from None


def _block(ways_in: int, ways_out: int) -> nn.Sequential:
    """Builds two 3x3 convolutions with batch norm."""
    layers: list[nn.Module] = []
    for before in (ways_in, ways_out):
        conv = nn.Conv2d(before, ways_out, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(ways_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
