"""The fast engine with the checkpoint that ships: what rounding does to real frames."""

import numpy as np
import pytest
import torch
from torch import Tensor

from flowreel.pipeline.generator.checkpoint import checkpoint_store, read_checkpoint
from flowreel.pipeline.generator.engine import Engine, PlainEngine
from flowreel.pipeline.generator.fast.engine import FastEngine
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.sources.scenes import street_scene

from .rollouts import Clips, rolled

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTH, HEIGHT, FRAMES = 256, 128, 12


def bundled(kind: torch.dtype) -> VideoGenerator:
    generator = load_generator(read_checkpoint(checkpoint_store("bundled", {})), "cpu")
    assert isinstance(generator, VideoGenerator)
    return generator.to(kind)


def streets(*seeds: int, frames: int = FRAMES) -> Clips:
    """``frames``: the first ones of the same clips."""
    scenes = [street_scene(seed, FRAMES, (WIDTH, HEIGHT)) for seed in seeds]
    ids = [np.stack([getattr(scene, name)[:frames] for scene in scenes]) for name in ("label_THW", "instance_THW")]
    return Clips(*(torch.from_numpy(id_BTHW.astype(np.int32)) for id_BTHW in ids))


def images(engine: Engine, shown: Clips) -> Tensor:
    """(B, T, 3, H, W) in float64."""
    return torch.stack([frame.image_B3HW for frame in rolled(engine, shown)[0]], dim=1).double()


def decibels(found: Tensor, expected: Tensor) -> float:
    """PSNR of images in [-1, 1]."""
    return float(10 * torch.log10(4 / (found - expected).square().mean()))


@pytest.fixture(scope="module")
def fast(one_thread: None) -> Tensor:
    """A clip in float32."""
    return images(FastEngine(bundled(torch.float32)), streets(0))


def test_float32_is_float64_but_for_rounding(fast: Tensor) -> None:
    """Measured over 12 frames of three clips: 7e-6 of [-1, 1], 136 dB, no more in late frames than in early ones."""
    exact = images(FastEngine(bundled(torch.float64)), streets(0, frames=4))
    assert float((fast[:, :4] - exact).abs().max()) < 5e-5
    assert decibels(fast[:, :4], exact) > 110


def test_a_clip_has_the_same_bits_in_a_batch(fast: Tensor) -> None:
    together = images(FastEngine(bundled(torch.float32)), streets(0, 1))
    assert torch.equal(together[:1], fast)


def test_the_plain_engine_renders_the_same_frames(fast: Tensor) -> None:
    """To 1e-4 of [-1, 1]. Most of it is that engine's own rounding: 2e-5 in the first frame."""
    plain = images(PlainEngine(bundled(torch.float32)), streets(0, frames=4))
    assert float((fast[:, :4] - plain).abs().max()) < 1e-4
    assert decibels(fast[:, :4], plain) > 90


@pytest.mark.slow
def test_the_plain_engine_in_float64_renders_the_same_frames(fast: Tensor) -> None:
    plain = images(PlainEngine(bundled(torch.float64)), streets(0))
    assert float((fast - plain).abs().max()) < 5e-5
    assert decibels(fast, plain) > 110
