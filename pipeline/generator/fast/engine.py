"""Frames of several clips by the fast networks: the counterpart of ``rollout.step``."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from flowreel.pipeline.generator.conditioning import encode_pictures, instance_edges, pyramid
from flowreel.pipeline.generator.fast.kernels import HAS_OPENMP, use_torch_threads
from flowreel.pipeline.generator.fast.labels import SparsePicture, from_labels, joined, pooled
from flowreel.pipeline.generator.fast.scales import FastScale, Made, Seen, Window
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.generator.rollout import Frame, RolloutState, foreground_mask

Picture = SparsePicture | Tensor  # one encoded frame: label maps are sparse, other pictures dense, (L, H, W)
Encoded = list[list[Picture]]  # one frame of each clip at all scales, coarsest first
Prepared = list[list[Seen]]  # what each scale makes of each clip's frame before its history is known, coarsest first


class FastEngine:
    """An engine that steps clips through time on CPUs."""

    ahead = 4  # frames that are prepared together: small maps share the reading of the weights
    concurrent = HAS_OPENMP

    def __init__(self, generator: VideoGenerator, products: torch.dtype | None = None) -> None:
        """Builds the fast networks. ``generator``: on the CPU, in float32 or float64. ``products``: the precision in
        which inner convolutions multiply; sums, statistics, first and last convolutions, warping and blending keep
        the generator's precision."""
        self.generator, self.config = generator, generator.config
        self.dtype = next(generator.parameters()).dtype
        self.scales = [FastScale(network, generator.config, products or self.dtype) for network in generator.scales]

    def encode(self, frame: Tensor, instance_BHW: Tensor | None) -> Encoded:
        """Encodes ``frame``: label ids (B, H, W), checked before; pictures (B, L, H, W) where the generator has no
        labels."""
        use_torch_threads()
        if not self.config.label_nc:
            picture_BLHW = encode_pictures(frame, instance_BHW, self.config).to(self.dtype)
            return [[level[0] for level in pyramid(p[None], self.config.n_scales)] for p in picture_BLHW]
        edge_BHW = None
        if self.config.use_instance:
            assert instance_BHW is not None, "this generator needs instance maps"
            edge_BHW = instance_edges(instance_BHW)
        return [self._levels(frame[b], None if edge_BHW is None else edge_BHW[b]) for b in range(len(frame))]

    def prepare(self, windows: Sequence[Sequence[Encoded]]) -> list[Prepared]:
        """Does, for windows of T encoded frames of all clips, the work on their last frames that needs no history."""
        use_torch_threads()
        clips = len(windows[0][0])
        given = [[levels[b] for levels in window] for window in windows for b in range(clips)]  # (window, clip), time
        masks = [self._masks(frames[-1]) for frames in given]
        seen: list[list[Seen]] = []
        for s, scale in enumerate(self.scales):
            at_scale = [_window([levels[s] for levels in frames]) for frames in given]
            seen.append(scale.prepare(at_scale, [mask[s] for mask in masks], seen[-1] if seen else None))
        return [[scale[w * clips : (w + 1) * clips] for scale in seen] for w in range(len(windows))]

    def step(self, state: RolloutState, prepared: Prepared) -> tuple[RolloutState, Frame]:
        """Renders a frame of each clip."""
        use_torch_threads()
        made: list[list[Made]] = []
        for s, scale in enumerate(self.scales):
            made.append(scale(prepared[s], list(state.history[s]), state.raw_only, made[-1] if made else None))
        images = [torch.stack([clip.image_3HW for clip in clips]) for clips in made]
        flows = [clip.flow_2HW for clip in made[-1] if clip.flow_2HW is not None]
        weights = [clip.weight_1HW for clip in made[-1] if clip.weight_1HW is not None]
        frame = Frame(
            image_B3HW=images[-1],
            raw_B3HW=torch.stack([clip.raw_3HW for clip in made[-1]]),
            flow_B2HW=torch.stack(flows) if flows else None,
            weight_B1HW=torch.stack(weights) if weights else None,
        )
        return state.after(images), frame

    def _levels(self, label_HW: Tensor, edge_HW: Tensor | None) -> list[Picture]:
        config, kind = self.config, np.float64 if self.dtype == torch.float64 else np.float32
        edges = None if edge_HW is None else edge_HW.numpy()
        levels: list[SparsePicture] = [from_labels(label_HW.numpy(), edges, config.label_nc, kind)]
        for _ in range(config.n_scales - 1):
            levels.append(pooled(levels[-1], config.frame_channels))
        return list(reversed(levels))

    def _masks(self, levels: list[Picture]) -> list[Tensor | None]:
        """Computes the share of foreground at each scale; nothing where the picture has none."""
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
