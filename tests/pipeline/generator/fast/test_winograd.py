"""3x3 convolutions by Winograd's algorithm against PyTorch's, and that bits do not depend on what is done together."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowreel.pipeline.generator.fast import winograd
from flowreel.pipeline.generator.fast.activations import Map, Norm
from flowreel.pipeline.generator.fast.winograd import Winograd

from .maps import KINDS, active, content, filled, map_of, norm, numbers, off, pending, plain_norm

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = [(2, 2), (2, 16), (4, 4), (5, 7), (8, 32), (19, 3)]  # height, width
CHANNELS = [(1, 1), (3, 5), (16, 16), (24, 40), (33, 17)]  # inputs, outputs
# Share of the outputs' spread. Float32 numbers keep 6e-8; the worst of all cases here are 4e-15 and 2e-6.
BOUNDS = {torch.float64: 1e-13, torch.float32: 1e-5}


def built(inputs: int, outputs: int, kind: torch.dtype) -> tuple[nn.Conv2d, Winograd]:
    conv = filled(nn.Conv2d(inputs, outputs, 3), kind)
    assert isinstance(conv, nn.Conv2d)
    return conv, Winograd(conv, Norm(norm(outputs, kind)), kind)


def convolved(x_1CHW: Tensor, conv: nn.Conv2d) -> Tensor:
    """In float64, without the bias."""
    return F.conv2d(F.pad(x_1CHW.double(), (1, 1, 1, 1), mode="reflect"), conv.weight.double())


def same(found: Map, expected: Map) -> bool:
    assert found.pending_2C is not None and expected.pending_2C is not None
    values = np.array_equal(found.values_HWC, expected.values_HWC)
    return values and np.array_equal(found.pending_2C, expected.pending_2C)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_is_a_convolution(size: tuple[int, int], channels: tuple[int, int], kind: torch.dtype) -> None:
    conv, fast = built(*channels, kind)
    x_1CHW = numbers(1, channels[0], *size, kind=kind, seed=1)
    (found,) = fast([map_of(x_1CHW)])
    expected = convolved(x_1CHW, conv)
    assert off(torch.from_numpy(found.values_HWC).permute(2, 0, 1)[None], expected) < BOUNDS[kind]
    assert off(content(found), plain_norm(expected, fast.norm)) < 10 * BOUNDS[kind]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_is_pending_is_applied(kind: torch.dtype) -> None:
    conv, fast = built(7, 9, kind)
    x_1CHW, pending_2C = numbers(1, 7, 10, 13, kind=kind, seed=1), pending(7, kind)
    (found,) = fast([map_of(x_1CHW, pending_2C)])
    expected = convolved(active(x_1CHW, pending_2C), conv)
    assert off(torch.from_numpy(found.values_HWC).permute(2, 0, 1)[None], expected) < BOUNDS[kind]


def test_float32_is_as_exact_at_the_width_of_a_bottleneck() -> None:
    """1024 channels: 1.0e-5 of the outputs' spread."""
    conv, fast = built(1024, 64, torch.float32)
    x_1CHW = numbers(1, 1024, 8, 16, kind=torch.float32).relu()
    (found,) = fast([map_of(x_1CHW)])
    assert off(torch.from_numpy(found.values_HWC).permute(2, 0, 1)[None], convolved(x_1CHW, conv)) < 3e-5


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("size", [(2, 4), (4, 8), (8, 4), (6, 10), (8, 16), (17, 30)], ids=str)
@pytest.mark.parametrize("channels", [(1, 1), (3, 5), (8, 8), (12, 12), (24, 24), (96, 96)], ids=str)
def test_maps_together_give_the_bits_of_each_alone(
    size: tuple[int, int], channels: tuple[int, int], kind: torch.dtype, threads: int
) -> None:
    _, fast = built(*channels, kind)
    maps = [map_of(numbers(1, channels[0], *size, kind=kind, seed=i)) for i in range(5)]
    alone = [fast([given])[0] for given in maps]
    for count in (2, 3, 5):
        assert all(same(a, b) for a, b in zip(fast(maps[:count]), alone, strict=False))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_wide_maps_together_give_the_bits_of_each_alone(kind: torch.dtype) -> None:
    """Where MKL cuts the sums into parts."""
    _, fast = built(512, 512, kind)
    maps = [map_of(numbers(1, 512, 4, 8, kind=kind, seed=i)) for i in range(3)]
    assert all(same(a, fast([given])[0]) for a, given in zip(fast(maps), maps, strict=True))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("block", [1, 36 * 24 * 5 * 2, 36 * 24 * 5 * 3])
def test_blocks_smaller_than_the_map(kind: torch.dtype, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One, two and three of the five rows of tiles at once; maps then one by one."""
    conv, fast = built(24, 20, kind)
    maps = [map_of(numbers(1, 24, 19, 20, kind=kind, seed=i)) for i in range(3)]
    whole = fast(maps)
    monkeypatch.setattr(winograd, "_BLOCK", block)
    monkeypatch.setattr(winograd, "_TOGETHER", 1)
    for given, found, expected in zip(maps, fast(maps), whole, strict=True):
        assert same(found, expected)
        x_1CHW = torch.from_numpy(given.values_HWC).permute(2, 0, 1)[None]
        assert off(content(found), plain_norm(convolved(x_1CHW, conv), fast.norm)) < 10 * BOUNDS[kind]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (4, 9), (10, 12)])
def test_what_is_not_finite_stays_visible(kind: torch.dtype, bad: float, place: tuple[int, int]) -> None:
    """In all pixels that it reaches, and, by the norm, in all of the map."""
    _, fast = built(6, 6, kind)
    given = map_of(numbers(1, 6, 11, 13, kind=kind))
    given.values_HWC[*place, 2] = bad
    (found,) = fast([given])
    y, x = place
    assert not np.isfinite(found.values_HWC[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]).any()
    assert content(found).isnan().all()


def test_the_given_map_stays_as_it_is() -> None:
    _, fast = built(6, 6, torch.float32)
    given = map_of(numbers(1, 6, 9, 9, kind=torch.float32), pending(6, torch.float32))
    before = given.values_HWC.copy()
    fast([given])
    assert np.array_equal(given.values_HWC, before)
