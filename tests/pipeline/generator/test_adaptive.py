"""Class-adaptive generators go through the same rollout, engines, clips and checkpoints as vid2vid's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from flowreel.pipeline.generator.adaptive.config import AdaptiveConfig
from flowreel.pipeline.generator.adaptive.generator import AdaptiveGenerator
from flowreel.pipeline.generator.adaptive.picture import pixel_norm
from flowreel.pipeline.generator.checkpoint import CONFIG_FILE, read_checkpoint
from flowreel.pipeline.generator.checks import check_fits, check_weights
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips, render_segments
from flowreel.pipeline.generator.conditioning import encode
from flowreel.pipeline.generator.engine import Engine, PlainEngine, engine_for
from flowreel.pipeline.generator.loading import load_generator, save_checkpoint
from flowreel.pipeline.generator.rollout import Frame, RolloutState, start_empty, start_from, step
from flowreel.pipeline.generator.warp import warp
from flowreel.pipeline.sources.scenes import street_scene
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import CheckpointError
from flowreel.schemas.label_spaces import BUILT_IN

SIZE = (64, 32)
CONFIG = AdaptiveConfig(features=(4, 4, 6, 6), widths=(4, 6, 8, 8), style=4, motion=4)
T = CONFIG.n_frames

pytestmark = pytest.mark.usefixtures("one_thread")


def build(dtype: torch.dtype = torch.float32) -> AdaptiveGenerator:
    """With weights everywhere, also where training begins with zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = AdaptiveGenerator(CONFIG)
        for parameter in generator.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return generator.requires_grad_(False).to(dtype)


@pytest.fixture(scope="module")
def generator() -> AdaptiveGenerator:
    return build()


def street(seed: int, frames: int = 5) -> Conditioning:
    scene = street_scene(seed, frames, SIZE)
    return Conditioning(scene.label_THW, scene.instance_THW)


def encoded(clip: Conditioning, dtype: torch.dtype = torch.float32) -> Tensor:
    assert clip.instance_THW is not None
    label_THW, instance_THW = torch.from_numpy(clip.label_THW), torch.from_numpy(clip.instance_THW.astype(np.int32))
    return encode(label_THW, instance_THW, CONFIG).to(dtype)


def empty(like: Tensor, batch: int = 1) -> RolloutState:
    return start_empty(CONFIG, batch, (SIZE[1], SIZE[0]), like)


def roll(generator: AdaptiveGenerator, state: RolloutState, frames_BTLHW: Tensor) -> list[Frame]:
    """Frames for label frames T-1, T, ..."""
    frames = []
    for t in range(T - 1, frames_BTLHW.shape[1]):
        state, frame = step(generator, state, frames_BTLHW[:, t - T + 1 : t + 1])
        frames.append(frame)
    return frames


# Frames


def test_from_nothing_the_first_frame_is_the_picture_of_its_labels(generator: AdaptiveGenerator) -> None:
    frames_BTLHW = encoded(street(0))[None]
    first, second = roll(generator, empty(frames_BTLHW), frames_BTLHW)[:2]
    alone = generator(frames_BTLHW[:, T - 1 : T], None).image_B3HW
    assert torch.equal(first.image_B3HW, alone) and torch.equal(first.raw_B3HW, alone)
    assert first.flow_B2HW is None and second.flow_B2HW is not None
    assert (second.image_B3HW - second.raw_B3HW).abs().max() > 0.01


def test_before_the_first_frame_there_was_the_first_frame(generator: AdaptiveGenerator) -> None:
    frames_BTLHW = encoded(street(0))[None]
    state, first = step(generator, empty(frames_BTLHW), frames_BTLHW[:, :T])
    assert not state.raw_only
    assert torch.equal(state.history[0], first.image_B3HW.repeat(1, T - 1, 1, 1))


def test_a_frame_is_a_blend_of_synthesis_and_warp(generator: AdaptiveGenerator) -> None:
    frames_BTLHW = encoded(street(0))[None]
    before_BT3HW = torch.rand(1, T - 1, 3, SIZE[1], SIZE[0], generator=torch.Generator().manual_seed(1)) * 2 - 1
    frame = roll(generator, start_from(CONFIG, before_BT3HW), frames_BTLHW[:, :T])[0]
    assert frame.flow_B2HW is not None and frame.weight_B1HW is not None
    weight_B1HW = frame.weight_B1HW
    blend = frame.raw_B3HW * weight_B1HW + warp(before_BT3HW[:, -1], frame.flow_B2HW) * (1 - weight_B1HW)
    torch.testing.assert_close(frame.image_B3HW, blend, rtol=0, atol=1e-6)


def test_what_is_warped_is_seen_by_the_decoder(generator: AdaptiveGenerator) -> None:
    window_BTLHW = encoded(street(0))[None][:, :T]
    histories = [torch.full((1, 3 * (T - 1), SIZE[1], SIZE[0]), grey) for grey in (-0.5, 0.5)]
    dark, bright = (generator(window_BTLHW, history).raw_B3HW for history in histories)
    assert (dark - bright).abs().max() > 0.01


def test_new_networks_give_the_picture_alone_whatever_is_warped() -> None:
    """What the frames before add begins at nothing, so that a generator of pictures can learn to go on from them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        new = AdaptiveGenerator(CONFIG).requires_grad_(False)
    window_BTLHW = encoded(street(0))[None][:, :T]
    history_BPHW = torch.rand(1, 3 * (T - 1), SIZE[1], SIZE[0])
    assert torch.equal(new(window_BTLHW, history_BPHW).raw_B3HW, new(window_BTLHW, None).raw_B3HW)


def test_a_style_sets_the_look(generator: AdaptiveGenerator) -> None:
    window_BTLHW = encoded(street(0))[None][:, :T]
    styles = [torch.full((1, CONFIG.style), value) for value in (-1.0, 0.0, 1.0)]
    images = [generator(window_BTLHW, None, style).image_B3HW for style in styles]
    assert torch.equal(images[1], generator(window_BTLHW, None).image_B3HW)  # none is the mean look
    assert (images[0] - images[1]).abs().max() > 0.01 < (images[2] - images[1]).abs().max()


def test_a_clip_does_not_depend_on_its_batch_mates() -> None:
    """In float64, for convolutions round differently in a batch."""
    generator = build(torch.float64)
    frames_BTLHW = torch.stack([encoded(street(seed, T + 1), torch.float64) for seed in range(3)])
    together = roll(generator, empty(frames_BTLHW, 3), frames_BTLHW)
    for b in range(3):
        alone = roll(generator, empty(frames_BTLHW), frames_BTLHW[b : b + 1])
        for batched, single in zip(together, alone, strict=True):
            torch.testing.assert_close(batched.image_B3HW[b], single.image_B3HW[0], rtol=0, atol=1e-9)
    assert (together[0].image_B3HW[0] - together[0].image_B3HW[1]).abs().max() > 0.1  # they are different clips


def test_a_step_leaves_its_inputs_and_the_weights_alone(generator: AdaptiveGenerator) -> None:
    frames_BTLHW = encoded(street(0))[None]
    state, _ = step(generator, empty(frames_BTLHW), frames_BTLHW[:, :T])
    weights = {key: value.clone() for key, value in generator.state_dict().items()}
    history, window = state.history[0].clone(), frames_BTLHW[:, 1 : T + 1].clone()
    step(generator, state, frames_BTLHW[:, 1 : T + 1])
    assert torch.equal(state.history[0], history) and torch.equal(frames_BTLHW[:, 1 : T + 1], window)
    assert all(torch.equal(value, weights[key]) for key, value in generator.state_dict().items())


def test_a_pixel_without_variance_has_none_after_its_norm() -> None:
    assert pixel_norm(torch.full((1, 4, 8, 16), 3.3)).abs().max() < 1e-3


# Clips and engines


def test_on_cpus_it_has_the_plain_engine(generator: AdaptiveGenerator) -> None:
    assert isinstance(engine_for(generator), PlainEngine)


def test_the_same_input_gives_the_same_bits(generator: AdaptiveGenerator) -> None:
    clips = [street(0), street(1)]
    one, again = (render_clips(PlainEngine(generator), clips, RenderOptions(flow=True)) for _ in range(2))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a.image_THW3, b.image_THW3)
        np.testing.assert_array_equal(a.flow_THW2, b.flow_THW2)
        assert a.image_THW3.shape == (5, SIZE[1], SIZE[0], 3)


def test_every_published_frame_has_a_flow_and_the_first_from_nothing_is_still(generator: AdaptiveGenerator) -> None:
    (clip,) = render_clips(PlainEngine(generator), [street(0)], RenderOptions(flow=True))
    assert clip.flow_THW2 is not None and clip.flow_THW2.shape == (5, SIZE[1], SIZE[0], 2)
    assert not clip.flow_THW2[0].any() and clip.flow_THW2[1:].any(axis=(1, 2, 3)).all()


def test_a_clip_goes_on_mid_way_bit_for_bit(generator: AdaptiveGenerator) -> None:
    engine, clip, options = PlainEngine(generator), street(0, frames=7), RenderOptions()
    (whole,) = render_segments(engine, [clip], options)
    first = next(render_segments(engine, [clip], options, every=3))
    rest = list(render_segments(engine, [clip], options, every=3, after=first))
    images = np.concatenate([s.image_BTHW3 for s in (first, *rest)], axis=1)
    np.testing.assert_array_equal(images, whole.image_BTHW3)


def test_reduced_precision_is_near(generator: AdaptiveGenerator) -> None:
    clips = [street(0, frames=1)]
    exact, near = (
        render_clips(engine_for(generator, precision), clips, RenderOptions())[0].image_THW3.astype(int)
        for precision in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - near).mean() < 3  # of 255 levels


# Checkpoints


def test_a_checkpoint_comes_back_bit_by_bit(generator: AdaptiveGenerator, tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    save_checkpoint(store, generator)
    checkpoint = read_checkpoint(store)
    check_weights(checkpoint)
    back = load_generator(checkpoint, "cpu")
    assert isinstance(back, AdaptiveGenerator) and back.config == CONFIG
    assert all(torch.equal(back.state_dict()[key], value) for key, value in generator.state_dict().items())
    clips = [street(0)]
    engines: list[Engine] = [PlainEngine(generator), engine_for(back)]
    one, other = (render_clips(engine, clips, RenderOptions())[0] for engine in engines)
    np.testing.assert_array_equal(one.image_THW3, other.image_THW3)


def test_keys_and_shapes_must_match(generator: AdaptiveGenerator, tmp_path: Path) -> None:
    save_checkpoint(open_store(str(tmp_path)), generator)
    file = tmp_path / CONFIG_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"style": 5}))
    with pytest.raises(CheckpointError, match=r"image\.encoder\.shift"):
        load_generator(read_checkpoint(open_store(str(tmp_path))), "cpu")


def test_a_config_that_is_none_says_where(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"architecture": "adaptive", "ngf": 4}))
    with pytest.raises(CheckpointError, match="ngf: unknown field"):
        read_checkpoint(open_store(str(tmp_path)))


def test_features_and_widths_are_for_the_same_scales() -> None:
    with pytest.raises(ValidationError, match="features has 3 scales, widths 4"):
        AdaptiveConfig(features=(4, 4, 4), widths=(4, 4, 4, 4))


def test_sizes_that_do_not_fit_are_refused(generator: AdaptiveGenerator, tmp_path: Path) -> None:
    save_checkpoint(open_store(str(tmp_path)), generator)
    checkpoint = read_checkpoint(open_store(str(tmp_path)))
    check_fits(checkpoint, BUILT_IN["cityscapes"], SIZE)
    with pytest.raises(CheckpointError, match="multiples of 16"):
        check_fits(checkpoint, BUILT_IN["cityscapes"], (72, 32))
