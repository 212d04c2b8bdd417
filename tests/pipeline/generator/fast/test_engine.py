"""The fast engine against the plain one, and that a clip's bits depend on the clip alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.engine import PlainEngine
from flowreel.pipeline.generator.fast.engine import FastEngine

from .maps import FOREGROUND, KINDS
from .rollouts import SIZE, SMALL, Clips, build, clips, empty, furthest, given, identical, rolled, tensors, windows

pytestmark = pytest.mark.usefixtures("one_thread")

PICTURES: dict[str, Any] = {"label_nc": 0, "input_nc": 6, "use_instance": False, "fg_labels": ()}
CONFIGS: dict[str, dict[str, Any]] = {
    "one scale": {},
    "two scales": {"n_scales": 2},
    "three scales": {"n_scales": 3, "n_downsample": 1, "n_blocks_local": 2},
    "d 3, foreground of half the width": {"n_downsample": 3, "ngf": 6, "n_blocks": 3},
    "two scales, d 3": {"n_scales": 2, "n_downsample": 3},
    "odd widths": {"n_scales": 2, "ngf": 10, "n_downsample": 1},
    "T = 2": {"n_frames": 2, "n_scales": 2},
    "T = 4": {"n_frames": 4},
    "no flow": {"flow": False, "n_scales": 2},
    "no foreground": {"fg_labels": (), "n_scales": 2},
    "two foreground labels": {"fg_labels": (FOREGROUND, 7), "n_scales": 2},
    "no edges": {"use_instance": False, "n_scales": 2},
    "labels alone": {"use_instance": False, "fg_labels": (), "flow": False},
    "pictures": PICTURES | {"n_scales": 2},
    "pictures, T = 2, no flow": PICTURES | {"n_frames": 2, "flow": False},
    "pictures with edges": PICTURES | {"use_instance": True},
    "pictures with foreground": PICTURES | {"fg_labels": (2,), "n_scales": 2},
}


def config(name: str) -> GeneratorConfig:
    return GeneratorConfig(**SMALL | CONFIGS[name])


@pytest.fixture(scope="module")
def engine() -> FastEngine:
    return FastEngine(build(config("two scales")))


def bits(engine: FastEngine, given: Clips, **how: Any) -> dict[str, torch.Tensor]:
    return tensors(*rolled(engine, given, **how))


def of(found: dict[str, torch.Tensor], b: int) -> dict[str, torch.Tensor]:
    """One clip's."""
    return {name: value[b : b + 1] for name, value in found.items()}


# Against the plain networks


@pytest.mark.parametrize("name", CONFIGS)
def test_a_rollout_is_that_of_the_plain_engine(name: str) -> None:
    """In float64, from first frames, over frames with and without foreground.

    Untrained networks multiply what two ways of rounding differ by: the reference (12.3) names 3e-9 for 1e-12.
    """
    generator = build(config(name), torch.float64)
    shown = clips(generator.config, count=2, length=4)
    plain, fast = PlainEngine(generator), FastEngine(generator)
    expected = tensors(*rolled(plain, shown, given(plain, 2)))
    found = tensors(*rolled(fast, shown, given(fast, 2)))
    assert all(value.dtype == torch.float64 for value in found.values())
    assert furthest(found, expected) < 1e-8


@torch.inference_mode()
@pytest.mark.parametrize("size", [SIZE, "smallest"], ids=str)
@pytest.mark.parametrize("name", CONFIGS)
def test_every_step_is_that_of_the_plain_engine(name: str, size: Any) -> None:
    """From nothing, each step from the same state.

    An empty history becomes maps that hardly vary, whose rounding errors norms enlarge, those of the plain engine to
    1e-11; and networks that are not trained do so tenfold a frame.
    """
    generator = build(config(name), torch.float64)
    if size == "smallest":
        size = (2 * generator.config.size_multiple,) * 2
        generator.config.check_size(*size)
    shown = clips(generator.config, length=4, size=size)
    plain, fast = PlainEngine(generator), FastEngine(generator)
    state = empty(plain, 1, size)
    seen, looked = (engine.prepare(list(windows(engine, shown))) for engine in (plain, fast))
    for before, after in zip(seen, looked, strict=True):
        found_state, found = fast.step(state, after)
        state, expected = plain.step(state, before)
        assert found_state.raw_only == state.raw_only
        assert furthest(tensors([found], found_state), tensors([expected], state)) < 1e-9


def test_float32_is_as_exact_as_the_plain_engine() -> None:
    """At the first frame, before the networks, which are not trained, multiply what is rounded."""
    generator = build(config("two scales"))
    shown = clips(generator.config, count=2, length=1)
    found = tensors(*rolled(FastEngine(generator), shown))
    plain = tensors(*rolled(PlainEngine(generator), shown))
    exact = tensors(*rolled(PlainEngine(build(generator.config, torch.float64)), shown))
    assert furthest(found, exact) < max(1e-4, 2 * furthest(plain, exact))


# What a clip's bits do not depend on


@pytest.mark.parametrize(
    ("kind", "products"),
    [(torch.float64, None), (torch.float32, None), (torch.float32, torch.bfloat16), (torch.float32, torch.float16)],
    ids=str,
)
@pytest.mark.parametrize("name", ["two scales", "T = 4", "pictures"])
def test_a_clip_has_the_same_bits_in_a_batch(name: str, kind: torch.dtype, products: torch.dtype | None) -> None:
    engine = FastEngine(build(config(name), kind), products)
    shown = clips(engine.config, count=3, length=5)
    together = bits(engine, shown)
    assert all(identical(of(together, b), bits(engine, shown.part(b))) for b in range(3))
    assert not identical(of(together, 0), of(together, 1))
    assert identical(of(bits(engine, shown.part(2, 0)), 0), of(together, 2))


@pytest.mark.parametrize("size", [(16, 16), (16, 48), (32, 32)], ids=str)
def test_a_clip_has_the_same_bits_in_a_batch_where_the_bottleneck_is_tiny(size: tuple[int, int]) -> None:
    """Down to one tile of 4 x 4 pixels."""
    engine = FastEngine(build(config("d 3, foreground of half the width")))
    shown = clips(engine.config, count=3, size=size)
    together = bits(engine, shown)
    for b in range(3):
        assert all(identical(of(together, b), bits(engine, shown.part(b), ahead=ahead)) for ahead in (1, 4))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", ["two scales", "T = 4", "pictures with foreground"])
def test_looking_ahead_does_not_change_bits(name: str, kind: torch.dtype) -> None:
    engine = FastEngine(build(config(name), kind))
    shown = clips(engine.config, count=2)
    one_by_one = bits(engine, shown, ahead=1)
    assert all(identical(bits(engine, shown, ahead=ahead), one_by_one) for ahead in (2, 4, 100))


def test_the_same_input_gives_the_same_bits(engine: FastEngine) -> None:
    shown = clips(engine.config, count=2)
    first = bits(engine, shown)
    assert identical(bits(engine, shown), first)
    assert identical(bits(FastEngine(build(engine.config)), shown), first)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["two scales", "pictures"])
def test_the_number_of_threads_does_not_change_bits(name: str, request: pytest.FixtureRequest) -> None:
    engine = FastEngine(build(config(name)))
    shown = clips(engine.config, count=2, length=3, size=(64, 96))
    with_one = bits(engine, shown)
    request.getfixturevalue("two_threads")
    assert torch.get_num_threads() == 2
    assert identical(bits(engine, shown), with_one)
    assert torch.get_num_threads() == 2


def test_another_thread_of_python_gets_the_same_bits(engine: FastEngine) -> None:
    shown = clips(engine.config, count=2)
    here = bits(engine, shown)
    with ThreadPoolExecutor(1) as other:
        assert identical(other.submit(bits, engine, shown).result(), here)
    assert identical(bits(engine, shown), here)


def test_threads_that_share_an_engine_do_not_disturb_each_other(engine: FastEngine) -> None:
    shown = clips(engine.config, count=4)
    alone = [bits(engine, shown.part(b)) for b in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            found = list(pool.map(lambda b: bits(engine, shown.part(b)), range(4)))
            assert all(identical(a, b) for a, b in zip(found, alone, strict=True))


# State


@torch.inference_mode()
def test_rollouts_that_take_turns_do_not_disturb_each_other(engine: FastEngine) -> None:
    shown = clips(engine.config, count=2)
    apart = [rolled(engine, shown.part(b))[0] for b in range(2)]
    looked = [engine.prepare(list(windows(engine, shown.part(b)))) for b in range(2)]
    states = [empty(engine, 1), empty(engine, 1)]
    for t in range(6):
        for b in range(2):
            states[b], frame = engine.step(states[b], looked[b][t])
            assert torch.equal(frame.image_B3HW, apart[b][t].image_B3HW)


@torch.inference_mode()
def test_a_step_leaves_its_inputs_and_the_weights_alone(engine: FastEngine) -> None:
    """So it can be done again."""
    shown, state = clips(engine.config, count=2), given(engine, 2)
    weights = {key: value.clone() for key, value in engine.generator.state_dict().items()}
    history, label_BTHW = [h.clone() for h in state.history], shown.frames.clone()
    looked = engine.prepare(list(windows(engine, shown)))
    frames = [engine.step(state, looked[0])[1] for _ in range(2)]
    assert identical(tensors(frames[:1], state), tensors(frames[1:], state))
    assert all(map(torch.equal, state.history, history)) and torch.equal(shown.frames, label_BTHW)
    assert all(torch.equal(value, weights[key]) for key, value in engine.generator.state_dict().items())


# Whole clips, and what is refused


def picture_clip(seed: int = 0, frames: int = 5) -> Conditioning:
    rng = np.random.default_rng(seed)
    blank_THW = np.zeros((frames, *SIZE), np.uint8)
    return Conditioning(blank_THW, None, picture_TLHW=rng.uniform(-1, 1, (frames, 6, *SIZE)).astype(np.float32))


def street_clip(**changes: Any) -> Conditioning:
    shown = clips(config("two scales"), length=5)
    clip = Conditioning(shown.frames[0].numpy(), shown.instance_BTHW[0].numpy())
    return replace(clip, **changes)


@pytest.mark.parametrize("lead_in", ["repeat", "drop"])
def test_rendered_clips_are_those_of_the_plain_engine(lead_in: Any) -> None:
    generator = build(config("two scales"), torch.float64)
    how = RenderOptions(lead_in, flow=True)
    (plain,), (fast,) = (render_clips(e(generator), [street_clip()], how) for e in (PlainEngine, FastEngine))
    assert plain.flow_THW2 is not None and fast.flow_THW2 is not None
    assert fast.first == plain.first and fast.image_THW3.shape == plain.image_THW3.shape
    assert (fast.image_THW3 != plain.image_THW3).mean() < 1e-3  # by a level, where truncation ends up otherwise
    assert np.abs(fast.image_THW3.astype(int) - plain.image_THW3).max() <= 1
    np.testing.assert_allclose(fast.flow_THW2, plain.flow_THW2, rtol=0, atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("frame", [0, 3])
def test_a_clip_that_fails_leaves_the_engine_usable(frame: int, bad: float) -> None:
    generator = build(config("pictures"))
    good, sick = picture_clip(), picture_clip(1)
    assert sick.picture_TLHW is not None
    sick.picture_TLHW[frame, 2, 7, 9] = bad
    fast = FastEngine(generator)
    before = render_clips(fast, [good], RenderOptions())[0].image_THW3
    for engine in (PlainEngine(generator), fast):
        with pytest.raises(ValueError, match=f"values that are not finite at label frame {frame}"):
            render_clips(engine, [sick], RenderOptions())
    np.testing.assert_array_equal(render_clips(fast, [good], RenderOptions())[0].image_THW3, before)


PARTS = ["model_down_seg.1", "model_down_img.4", "model_res_img.0.conv_block.1", "model_up_flow.1", "indv_down.4"]
PARTS += ["model_final_img.1", "model_final_w.1", "indv_final.1", "model_down_img.2"]


@pytest.mark.parametrize("part", PARTS)
def test_weights_that_are_not_numbers_are_told(part: str) -> None:
    generator = build(config("two scales"))
    generator.get_submodule(f"G0.{part}").weight.data.fill_(torch.nan)  # type: ignore[union-attr,operator]
    clip = street_clip()
    messages = []
    for engine in (PlainEngine(generator), FastEngine(generator)):
        with pytest.raises(ValueError, match="not finite at label frame") as caught:
            render_clips(engine, [clip], RenderOptions())
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("wrong", [-1, 35, 36, 200])
def test_an_id_without_a_channel_is_refused(engine: FastEngine, wrong: int) -> None:
    """35 would be the edge channel, what lies beyond it no memory of the picture's."""
    label_THW = street_clip().label_THW.astype(np.int32)
    label_THW[2, 5, 6] = wrong
    told = f"label id {wrong} is not in 0..34, the ids that this generator knows"
    for one in (PlainEngine(engine.generator), engine):
        with pytest.raises(ValueError, match=told):
            render_clips(one, [street_clip(label_THW=label_THW)], RenderOptions())


def test_pictures_of_other_channels_are_refused() -> None:
    generator = build(config("pictures"))
    clip = picture_clip()
    assert clip.picture_TLHW is not None
    few = replace(clip, picture_TLHW=clip.picture_TLHW[:, :5])
    for engine in (PlainEngine(generator), FastEngine(generator)):
        with pytest.raises(ValueError, match="pictures of 5 channels were given; .* conditioned on pictures of 6"):
            render_clips(engine, [few], RenderOptions())


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ((66, 32), "are 64x32 and 72x32"),
        ((64, 30), "are 64x24 and 64x32"),
        ((64, 8), "are 64x16"),
        ((3, 5), "are 16x16"),
        ((500, 333), "are 496x328 and 504x336"),
    ],
)
def test_a_size_that_does_not_halve_is_refused_with_the_nearest(
    engine: FastEngine, size: tuple[int, int], nearest: str
) -> None:
    width, height = size
    label_THW = np.zeros((3, height, width), np.uint8)
    for one in (PlainEngine(engine.generator), engine):
        with pytest.raises(ValueError, match="does not fit the networks") as caught:
            render_clips(one, [Conditioning(label_THW, label_THW)], RenderOptions())
        assert f"size {width}x{height} (width x height)" in str(caught.value)
        assert str(caught.value).endswith(f"multiples of 8, at least 16; the nearest {nearest}")
