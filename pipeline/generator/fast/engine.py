"""A frame of several clips by the fast networks: the counterpart of ``rollout.step``."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.generator.conditioning import instance_edges, pyramid
from pipeline.generator.config import GeneratorConfig
from pipeline.generator.fast.kernels import use_torch_threads
from pipeline.generator.fast.labels import SparsePicture, from_labels, joined, pooled
from pipeline.generator.fast.scales import FastScale, ScaleGiven, ScaleMade, Window
from pipeline.generator.networks import VideoGenerator
from pipeline.generator.rollout import Frame, RolloutState, foreground_mask

Picture = SparsePicture | Tensor  # one encoded frame: label maps are sparse, other pictures (L, H, W)
Encoded = list[list[Picture]]  # one frame of each clip at all scales, coarsest first


class FastEngine:
    """Steps clips through time on CPUs, each on its own, so that a clip's result never depends on the others."""

    def __init__(self, generator: VideoGenerator) -> None:
        """``generator``: on the CPU, in float32 or float64."""
        self.config: GeneratorConfig = generator.config
        self.dtype = next(generator.parameters()).dtype
        self.scales = [FastScale(network, generator.config) for network in generator.scales]

    def encode(self, frame: Tensor, instance_BHW: Tensor | None) -> Encoded:
        """``frame``: label ids (B, H, W), or pictures (B, L, H, W) where the generator has no labels."""
        use_torch_threads()
        if not self.config.label_nc:
            return [[level[0] for level in pyramid(p[None].to(self.dtype), self.config.n_scales)] for p in frame]
        edge_BHW = None
        if self.config.use_instance:
            assert instance_BHW is not None, "this generator needs instance maps"
            edge_BHW = instance_edges(instance_BHW)
        return [self._levels(frame[b], None if edge_BHW is None else edge_BHW[b]) for b in range(len(frame))]

    def step(self, state: RolloutState, window: Sequence[Encoded]) -> tuple[RolloutState, Frame]:
        """Renders the last frame of each clip's window of T encoded frames."""
        use_torch_threads()
        made = [self._clip(state, [frame[b] for frame in window], b) for b in range(len(window[0]))]
        images = [torch.stack([clip[s].image_3HW for clip in made]) for s in range(len(self.scales))]
        flows = [clip[-1].flow_2HW for clip in made if clip[-1].flow_2HW is not None]
        weights = [clip[-1].weight_1HW for clip in made if clip[-1].weight_1HW is not None]
        frame = Frame(
            image_B3HW=images[-1],
            raw_B3HW=torch.stack([clip[-1].raw_3HW for clip in made]),
            flow_B2HW=torch.stack(flows) if flows else None,
            weight_B1HW=torch.stack(weights) if weights else None,
        )
        return state.after(images), frame

    def _clip(self, state: RolloutState, window: Sequence[list[Picture]], clip: int) -> list[ScaleMade]:
        made: list[ScaleMade] = []
        masks = self._masks(window[-1])
        for s, scale in enumerate(self.scales):
            given = ScaleGiven(_window([levels[s] for levels in window]), state.history[s][clip], masks[s], state.raw_only)
            made.append(scale(given, made[-1] if made else None))
        return made

    def _levels(self, label_HW: Tensor, edge_HW: Tensor | None) -> list[Picture]:
        config, kind = self.config, np.float64 if self.dtype == torch.float64 else np.float32
        edges = None if edge_HW is None else edge_HW.numpy()
        levels: list[SparsePicture] = [from_labels(label_HW.numpy(), edges, config.label_nc, kind)]
        for _ in range(config.n_scales - 1):
            levels.append(pooled(levels[-1], config.frame_channels))
        return list(reversed(levels))

    def _masks(self, levels: list[Picture]) -> list[Tensor | None]:
        """Share of foreground at each scale; nothing where the picture has none."""
        if not self.config.fg_labels:
            return [None] * len(levels)
        masks = [self._mask(level) for level in levels]
        return list(masks) if bool(masks[-1].any()) else [None] * len(levels)

    def _mask(self, level: Picture) -> Tensor:
        if isinstance(level, SparsePicture):
            return torch.from_numpy(level.total(self.config.fg_labels))
        return foreground_mask(level[None], self.config)[0, 0]


def _window(frames: Sequence[Picture]) -> Window:
    sparse = [frame for frame in frames if isinstance(frame, SparsePicture)]
    return joined(sparse) if sparse else torch.cat([frame for frame in frames if isinstance(frame, Tensor)])
