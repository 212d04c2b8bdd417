"""Compiles the CPU kernels for this machine, so that the first render need not wait for them."""

import numpy as np
import torch

from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.fast.engine import FastEngine
from flowreel.pipeline.generator.networks import VideoGenerator


def main() -> None:
    """Renders a few frames of a clip that takes every kind of kernel; what was compiled stays in numba's cache."""
    generator = VideoGenerator(GeneratorConfig(ngf=4, n_downsample=1, n_blocks=2, n_blocks_local=1, n_scales=2))
    label_THW = np.zeros((3, 32, 32), np.int32)
    label_THW[:, 8:20, 8:20] = 26
    with torch.inference_mode():
        render_clips(FastEngine(generator.requires_grad_(False)), [Conditioning(label_THW, label_THW)], RenderOptions())


if __name__ == "__main__":
    main()
