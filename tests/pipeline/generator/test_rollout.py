"""The rollout and its parts on small real networks; `tests/golden` holds them against the reference."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.conditioning import encode, instance_edges, pool, pyramid
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.engine import PlainEngine
from flowreel.pipeline.generator.layers import ClipNorm, PlainNorm
from flowreel.pipeline.generator.networks import ScaleOutput, VideoGenerator
from flowreel.pipeline.generator.rollout import RolloutState, foreground_mask, start_empty, start_from, step
from flowreel.pipeline.generator.warp import warp
from flowreel.pipeline.sources.scenes import street_scene

SIZE = (64, 32)
CONFIG = GeneratorConfig(ngf=4, n_downsample=2, n_blocks=2, n_scales=2)
T = CONFIG.n_frames


pytestmark = pytest.mark.usefixtures("one_thread")


def build(config: GeneratorConfig = CONFIG, dtype: torch.dtype = torch.float32) -> VideoGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VideoGenerator(config).requires_grad_(False).to(dtype)


@pytest.fixture(scope="module")
def generator() -> VideoGenerator:
    return build()


def street(seed: int, frames: int = 5, exemplar: bool = False) -> Conditioning:
    scene = street_scene(seed, frames, SIZE)
    rng = np.random.default_rng(seed)
    image_HW3 = rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8) if exemplar else None
    return Conditioning(scene.label_THW, scene.instance_THW, image_HW3)


def encoded(clip: Conditioning, dtype: torch.dtype = torch.float32, config: GeneratorConfig = CONFIG) -> Tensor:
    assert clip.instance_THW is not None
    label_THW, instance_THW = torch.from_numpy(clip.label_THW), torch.from_numpy(clip.instance_THW.astype(np.int32))
    return encode(label_THW, instance_THW, config).to(dtype)


def empty(like_TLHW: Tensor, batch: int = 1) -> RolloutState:
    return start_empty(CONFIG, batch, (SIZE[1], SIZE[0]), like_TLHW)


def roll(generator: VideoGenerator, state: RolloutState, frames_BTLHW: Tensor) -> list[ScaleOutput]:
    """Outputs for label frames T-1, T, ..."""
    outputs = []
    for t in range(T - 1, frames_BTLHW.shape[1]):
        state, out = step(generator, state, frames_BTLHW[:, t - T + 1 : t + 1])
        outputs.append(out)
    return outputs


def one(generator: VideoGenerator, clip: Conditioning, how: RenderOptions | None = None) -> np.ndarray:
    return render_clips(PlainEngine(generator), [clip], how or RenderOptions())[0].image_THW3


# A clip on its own


def test_a_clip_does_not_depend_on_its_batch_mates() -> None:
    """In float64: convolutions round differently in a batch, and a rollout of untrained networks multiplies float32
    rounding tenfold a frame, up to visible levels. Statistics taken over the batch would differ at any precision."""
    generator = build(dtype=torch.float64)
    frames_BTLHW = torch.stack([encoded(street(seed, T + 1), torch.float64) for seed in range(3)])
    together = roll(generator, empty(frames_BTLHW, 3), frames_BTLHW)
    for b in range(3):
        alone = roll(generator, empty(frames_BTLHW), frames_BTLHW[b : b + 1])
        for batched, single in zip(together, alone, strict=True):
            torch.testing.assert_close(batched.image_B3HW[b], single.image_B3HW[0], rtol=0, atol=1e-9)
            torch.testing.assert_close(batched.flow_B2HW[b], single.flow_B2HW[0], rtol=0, atol=1e-9)
    assert (together[0].image_B3HW[0] - together[0].image_B3HW[1]).abs().max() > 0.1  # they are different clips


def test_clips_of_a_batch_keep_their_order(generator: VideoGenerator) -> None:
    """First frames, where float32 rounding has not grown yet: within one level of 255."""
    clips = [street(seed) for seed in range(3)]
    for batched, clip in zip(render_clips(PlainEngine(generator), clips, RenderOptions()), clips, strict=True):
        difference = np.abs(batched.image_THW3[0].astype(int) - one(generator, clip)[0])
        assert difference.max() <= 1


def test_the_same_input_gives_the_same_bits(generator: VideoGenerator) -> None:
    clips = [street(0), street(1)]
    first, again = (
        render_clips(PlainEngine(generator), clips, RenderOptions(flow=True)),
        render_clips(PlainEngine(generator), clips, RenderOptions(flow=True)),
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.image_THW3, b.image_THW3)
        np.testing.assert_array_equal(a.flow_THW2, b.flow_THW2)


def test_rollouts_that_take_turns_do_not_disturb_each_other(generator: VideoGenerator) -> None:
    clips = [encoded(street(seed))[None] for seed in (0, 1)]
    apart = [[out.image_B3HW for out in roll(generator, empty(c), c)] for c in clips]
    states = [empty(c) for c in clips]
    for i, t in enumerate(range(T - 1, 5)):
        for k, clip in enumerate(clips):
            states[k], out = step(generator, states[k], clip[:, t - T + 1 : t + 1])
            assert torch.equal(out.image_B3HW, apart[k][i])


def test_a_step_leaves_its_inputs_and_the_weights_alone(generator: VideoGenerator) -> None:
    frames_BTLHW = encoded(street(0))[None]
    state, _ = step(generator, empty(frames_BTLHW), frames_BTLHW[:, :T])
    weights = {key: value.clone() for key, value in generator.state_dict().items()}
    history, window = [h.clone() for h in state.history], frames_BTLHW[:, 1 : T + 1].clone()
    step(generator, state, frames_BTLHW[:, 1 : T + 1])
    assert all(map(torch.equal, state.history, history))
    assert torch.equal(frames_BTLHW[:, 1 : T + 1], window)
    assert all(torch.equal(value, weights[key]) for key, value in generator.state_dict().items())


# State and start


def test_each_scale_keeps_its_own_newest_frames(generator: VideoGenerator) -> None:
    frames_BTLHW = encoded(street(0))[None]
    state = empty(frames_BTLHW)
    assert [tuple(h.shape) for h in state.history] == [(1, 6, 16, 32), (1, 6, 32, 64)]
    images = []
    for t in range(T - 1, 5):
        state, out = step(generator, state, frames_BTLHW[:, t - T + 1 : t + 1])
        images.append(out.image_B3HW)
        assert torch.equal(state.history[-1][:, 3:], images[-1])
    assert torch.equal(state.history[-1][:, :3], images[-2])  # oldest first
    assert (state.history[0][:, 3:] - pool(images[-1])).abs().max() > 0.01  # not pooled from the finest


def test_from_nothing_the_first_frame_is_not_blended(generator: VideoGenerator) -> None:
    frames_BTLHW = encoded(street(0))[None]
    state = empty(frames_BTLHW)
    assert not any(h.any() for h in state.history)
    first, second = roll(generator, state, frames_BTLHW)[:2]
    assert torch.equal(first.image_B3HW, first.raw_B3HW)
    assert (second.image_B3HW - second.raw_B3HW).abs().max() > 0.01


def test_the_blend_of_synthesis_warp_and_foreground(generator: VideoGenerator) -> None:
    """vid2vid, eq. 3 and its foreground mask, put together again from what a step returns."""
    frames_BTLHW = encoded(street(0))[None]
    first_BT3HW = torch.rand(1, T - 1, 3, SIZE[1], SIZE[0], generator=torch.Generator().manual_seed(1)) * 2 - 1
    state = start_from(CONFIG, first_BT3HW)
    out = roll(generator, state, frames_BTLHW[:, :T])[0]
    assert out.flow_B2HW is not None and out.weight_B1HW is not None
    background = foreground_mask(frames_BTLHW[:, :T].flatten(1, 2), CONFIG)[:, 0] == 0
    assert 0.1 < background.float().mean() < 1  # a street with cars
    blend = out.raw_B3HW * out.weight_B1HW + warp(first_BT3HW[:, -1], out.flow_B2HW) * (1 - out.weight_B1HW)
    seen = background[:, None].expand_as(blend)
    torch.testing.assert_close(out.image_B3HW[seen], blend[seen], rtol=0, atol=1e-6)
    torch.testing.assert_close(out.image_B3HW[~seen], out.raw_B3HW[~seen], rtol=0, atol=1e-6)  # cars are all synthesis


def test_an_exemplar_sets_the_look(generator: VideoGenerator) -> None:
    plain, dusk = street(0), street(0, exemplar=True)
    assert dusk.exemplar_HW3 is not None
    night = replace(dusk, exemplar_HW3=255 - dusk.exemplar_HW3)
    looks = [one(generator, clip).astype(int) for clip in (plain, dusk, night)]
    for i, look in enumerate(looks):
        assert len(look) == 5
        for other in looks[:i]:
            assert np.abs(look[0] - other[0]).max() > 10


def test_an_exemplar_stands_for_all_first_frames(generator: VideoGenerator) -> None:
    clip = street(0, exemplar=True)
    assert clip.exemplar_HW3 is not None
    first_3HW = torch.from_numpy(clip.exemplar_HW3).movedim(-1, 0).float() / 127.5 - 1
    state = start_from(CONFIG, first_3HW.expand(1, T - 1, -1, -1, -1))
    expected = [truncated(out) for out in roll(generator, state, encoded(clip)[None])]
    np.testing.assert_array_equal(one(generator, clip, RenderOptions(lead_in="drop")), np.stack(expected))


def test_first_frames_must_be_as_many_as_the_window_needs() -> None:
    with pytest.raises(ValueError, match="1 first frames given; this generator needs 2"):
        start_from(CONFIG, torch.zeros(1, 1, 3, SIZE[1], SIZE[0]))


# Which frames come out


def truncated(out: ScaleOutput) -> np.ndarray:
    """(H, W, 3): (x + 1) / 2 * 255 without rounding, as section 9 of the specification says."""
    image_HW3 = out.image_B3HW[0].movedim(0, -1).numpy()
    return np.floor(np.clip((image_HW3 + np.float32(1)) / np.float32(2) * np.float32(255), 0, 255)).astype(np.uint8)


def test_drop_gives_the_frames_with_a_full_window(generator: VideoGenerator) -> None:
    clip = street(0, frames=6)
    frames_BTLHW = encoded(clip)[None]
    expected = np.stack([truncated(out) for out in roll(generator, empty(frames_BTLHW), frames_BTLHW)])
    found = render_clips(PlainEngine(generator), [clip], RenderOptions(lead_in="drop"))[0]
    assert found.first == T - 1 and len(found.image_THW3) == 6 - (T - 1)
    np.testing.assert_array_equal(found.image_THW3, expected)


def test_repeat_gives_every_frame_with_the_first_label_in_front(generator: VideoGenerator) -> None:
    clip = street(0)
    assert clip.instance_THW is not None
    longer = Conditioning(
        np.concatenate([clip.label_THW[:1]] * (T - 1) + [clip.label_THW]),
        np.concatenate([clip.instance_THW[:1]] * (T - 1) + [clip.instance_THW]),
    )
    found = render_clips(PlainEngine(generator), [clip], RenderOptions(lead_in="repeat"))[0]
    assert found.first == 0 and len(found.image_THW3) == 5
    np.testing.assert_array_equal(found.image_THW3, one(generator, longer, RenderOptions(lead_in="drop")))


def test_one_frame_is_a_clip_with_repeat(generator: VideoGenerator) -> None:
    assert one(generator, street(0, frames=1)).shape == (1, SIZE[1], SIZE[0], 3)


def test_images_are_truncated_to_bytes(generator: VideoGenerator) -> None:
    clip = street(0, frames=T)
    out = roll(generator, empty(encoded(clip)), encoded(clip)[None])[0]
    levels_HW3 = (out.image_B3HW[0].movedim(0, -1).double().numpy() + 1) / 2 * 255
    found = one(generator, clip, RenderOptions(lead_in="drop"))[0]
    off = np.abs(levels_HW3 - np.round(levels_HW3)) > 1e-3  # apart from whole levels, where float32 decides
    assert found.dtype == np.uint8 and off.mean() > 0.9
    np.testing.assert_array_equal(found[off], np.floor(levels_HW3)[off])
    assert np.mean(found[off] != np.round(levels_HW3)[off]) > 0.3  # rounding would differ


def test_flow_is_kept_where_it_is_wanted(generator: VideoGenerator) -> None:
    clip = street(0)
    outs = roll(generator, empty(encoded(clip)), encoded(clip)[None])
    flow_THW2 = render_clips(PlainEngine(generator), [clip], RenderOptions(lead_in="drop", flow=True))[0].flow_THW2
    assert flow_THW2 is not None and flow_THW2.dtype == np.float32
    for found, out in zip(flow_THW2, outs, strict=True):
        assert out.flow_B2HW is not None
        np.testing.assert_array_equal(found, out.flow_B2HW[0].movedim(0, -1).numpy())
    assert render_clips(PlainEngine(generator), [clip], RenderOptions())[0].flow_THW2 is None
    still = build(CONFIG.model_copy(update={"flow": False}))
    assert render_clips(PlainEngine(still), [clip], RenderOptions(flow=True))[0].flow_THW2 is None


def test_progress_counts_frames_of_all_clips(generator: VideoGenerator) -> None:
    ticks: list[int] = []
    render_clips(PlainEngine(generator), [street(0), street(1)], RenderOptions(), ticks.append)
    assert ticks == [2] * 5


# What is refused


def test_lengths_must_be_one(generator: VideoGenerator) -> None:
    with pytest.raises(ValueError, match=r"clips in lock-step must have one length, have \[4, 5\]"):
        render_clips(PlainEngine(generator), [street(0, frames=5), street(1, frames=4)], RenderOptions())


def test_all_clips_or_none_have_an_exemplar(generator: VideoGenerator) -> None:
    with pytest.raises(ValueError, match="1 of 2 clips in lock-step have an exemplar; all or none must"):
        render_clips(PlainEngine(generator), [street(0), street(1, exemplar=True)], RenderOptions())


@pytest.mark.parametrize(("lead_in", "frame"), [("repeat", 0), ("drop", T - 1)])
def test_values_that_are_not_finite_are_an_error_that_names_the_frame(lead_in: str, frame: int) -> None:
    sick = build()
    final = sick.get_parameter("G1.model_final_img.1.weight")
    final.view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match=f"not finite at label frame {frame}"):
        render_clips(PlainEngine(sick), [street(0)], RenderOptions(lead_in=lead_in))  # type: ignore[arg-type]


# Norms


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("norm", [ClipNorm, PlainNorm])
def test_a_map_without_variance_has_none_after_its_norm(norm: type[nn.Module], layout: torch.memory_format) -> None:
    """An empty history is one: rounding errors that the division by sqrt(1e-5) enlarges would become the picture."""
    x_BCHW = torch.full((1, 4, 128, 256), 3.3).contiguous(memory_format=layout)
    assert norm(4)(x_BCHW).abs().max() < 1e-3


# Conditioning


def test_labels_become_one_channel_per_class_then_edges() -> None:
    config = GeneratorConfig(label_nc=3, fg_labels=(), ngf=1)
    label_THW = torch.tensor([[[0, 1, 2], [2, 2, 0]], [[1, 1, 1], [0, 0, 0]]], dtype=torch.uint8)
    instance_THW = torch.zeros(2, 2, 3, dtype=torch.int32)
    instance_THW[1, 1] = 26001
    found_TLHW = encode(label_THW, instance_THW, config)
    expected = [
        [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 0]], [[0, 0, 1], [1, 1, 0]], [[0, 0, 0], [0, 0, 0]]],
        [[[0, 0, 0], [1, 1, 1]], [[1, 1, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]]],
    ]
    assert found_TLHW.dtype == torch.float32
    assert found_TLHW.tolist() == expected
    plain = encode(label_THW, None, config.model_copy(update={"use_instance": False}))
    assert plain.tolist() == [frame[:3] for frame in expected]


def test_edges_are_marked_on_both_sides_and_do_not_wrap() -> None:
    instance_THW = torch.tensor([[[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 7, 1, 1], [1, 1, 1, 1, 2]]])
    expected = [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 1, 1, 1], [0, 0, 1, 1, 1]]
    assert instance_edges(instance_THW).int().tolist() == [expected]


def test_frames_are_conditioned_one_by_one() -> None:
    still = torch.ones(2, 4, 4, dtype=torch.int32)
    still[1] = 2  # another id everywhere: a change in time is no edge
    assert not instance_edges(still).any()


def test_pool_divides_by_the_valid_pixels() -> None:
    assert torch.equal(pool(torch.ones(1, 1, 4, 6)), torch.ones(1, 1, 2, 3))
    x_BCHW = torch.arange(16.0).reshape(1, 1, 4, 4)
    corner, top, side, inside = (0 + 1 + 4 + 5) / 4, (1 + 2 + 3 + 5 + 6 + 7) / 6, (4 + 5 + 8 + 9 + 12 + 13) / 6, 10.0
    assert pool(x_BCHW).tolist() == [[[[corner, top], [side, inside]]]]


def test_the_pyramid_is_coarsest_first() -> None:
    x_BCHW = torch.rand(1, 2, 16, 32)
    levels = pyramid(x_BCHW, 3)
    assert [tuple(level.shape[-2:]) for level in levels] == [(4, 8), (8, 16), (16, 32)]
    assert torch.equal(levels[2], x_BCHW) and torch.equal(levels[0], pool(pool(x_BCHW)))


def test_the_foreground_is_that_of_the_current_frame() -> None:
    config = GeneratorConfig(label_nc=4, use_instance=False, fg_labels=(1, 3), n_frames=2, ngf=1)
    label_THW = torch.tensor([[[1, 1, 0]], [[0, 3, 1]]])
    labels_BCHW = encode(label_THW, None, config).flatten(0, 1)[None]
    assert foreground_mask(labels_BCHW, config).tolist() == [[[[0, 1, 1]]]]


# Warp


def moved(image_HW: np.ndarray, u: int, v: int) -> np.ndarray:
    """image(y + v, x + u), coordinates clamped, by indexing."""
    h, w = image_HW.shape
    y, x = np.clip(np.arange(h) + v, 0, h - 1), np.clip(np.arange(w) + u, 0, w - 1)
    return image_HW[y][:, x]


@pytest.mark.parametrize("flow", [(0, 0), (3, 0), (0, -2), (-5, 4), (100, -100)])
def test_warp_moves_by_whole_pixels_and_clamps(flow: Sequence[int]) -> None:
    image_BCHW = torch.rand(2, 3, 12, 20, dtype=torch.float64)
    flow_B2HW = torch.tensor(flow, dtype=torch.float64)[None, :, None, None].expand(2, 2, 12, 20)
    found = warp(image_BCHW, flow_B2HW).numpy()
    for b in range(2):
        for c in range(3):
            np.testing.assert_allclose(found[b, c], moved(image_BCHW[b, c].numpy(), *flow), rtol=0, atol=1e-12)


def test_warp_follows_a_flow_that_varies() -> None:
    image_BCHW = torch.arange(6.0, dtype=torch.float64).reshape(1, 1, 1, 6)
    flow_B2HW = torch.zeros(1, 2, 1, 6, dtype=torch.float64)
    flow_B2HW[0, 0, 0] = torch.tensor([0.5, -1, 0.25, 2, 2, -4.5])
    assert warp(image_BCHW, flow_B2HW)[0, 0, 0].tolist() == pytest.approx([0.5, 0, 2.25, 5, 5, 0.5])


def test_warp_stands_still_in_reduced_precision() -> None:
    """As under autocast on a GPU, where the flow comes as bfloat16: no motion must move nothing."""
    where_BCHW = torch.arange(512.0).expand(1, 1, 8, 512)  # each pixel's value is its place
    with torch.autocast("cpu", torch.bfloat16):
        found = warp(where_BCHW, torch.zeros(1, 2, 8, 512, dtype=torch.bfloat16))
    assert (found.float() - where_BCHW).abs().max() < 0.05
