"""A stand-in for the original implementation, which needs PyTorch 0.4: its operations with a generator's weights."""

from copy import deepcopy
from typing import Literal

import torch
from torch import nn

from flowreel.pipeline.generator.engine import Engine, PlainEngine, engine_for
from flowreel.pipeline.generator.layers import EPS, ClipNorm
from flowreel.pipeline.generator.networks import VideoGenerator

Kind = Literal["original", "plain", "fast"]


class OriginalEngine(PlainEngine):
    """One clip at a time, all channels dense, weights and maps in PyTorch's default layout, and the original's
    normalisation: BatchNorm2d in training mode, running statistics included (vid2vid, section 3.1).

    What surrounds the networks is Flowreel's, which can only favour the stand-in: the original encodes each window
    of T frames anew.
    """

    def __init__(self, generator: VideoGenerator) -> None:
        self.config, self.precision = generator.config, "float32"
        shared = {id(parameter): parameter for parameter in generator.parameters()}
        self.generator = deepcopy(generator, shared)
        for module in list(self.generator.modules()):
            for name, child in module.named_children():
                if isinstance(child, ClipNorm):
                    setattr(module, name, _batch_norm(child))
                elif isinstance(child, nn.ConvTranspose2d):
                    weight = child.weight.clone(memory_format=torch.contiguous_format)  # not the plain engine's layout
                    child.weight = nn.Parameter(weight, requires_grad=False)


def build_engine(generator: VideoGenerator, kind: Kind, precision: str) -> Engine:
    return OriginalEngine(generator) if kind == "original" else engine_for(generator, precision, kind)


def _batch_norm(norm: ClipNorm) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(len(norm.weight), eps=EPS, dtype=norm.weight.dtype).requires_grad_(False)
    made.load_state_dict(norm.state_dict())
    return made.train()
