"""Maps whose normalisation is pending: statistics, and what each way of reading a map makes of it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flowreel.pipeline.generator.fast.activations import Map, Norm, add_normed, added, consumed, padded

from .maps import KINDS, active, content, map_of, norm, numbers, off, pending, plain_norm

pytestmark = pytest.mark.usefixtures("one_thread")

BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-5}


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("size", [(1, 5), (4, 4), (7, 9), (32, 64)], ids=str)
@pytest.mark.parametrize("channels", [1, 5, 16, 33])
def test_it_is_the_networks_norm(size: tuple[int, int], channels: int, kind: torch.dtype) -> None:
    fast, x_1CHW = Norm(norm(channels, kind)), numbers(1, channels, *size, kind=kind) * 3 + 1
    given = map_of(x_1CHW)
    expected = plain_norm(x_1CHW.double(), fast)
    torch.testing.assert_close(content(fast.of(given.values_HWC)).double(), expected, rtol=0, atol=BOUNDS[kind])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_large_mean_does_not_drown_the_spread(kind: torch.dtype) -> None:
    """1e4 +- 1, where a sum of squares in float32 knows nothing of the spread.

    What is left is the rounding of ``values * scale + shift``, two numbers of 1e4 that cancel, and 2e-5 of the scale
    by the rounding of the rows' means.
    """
    x_1CHW = (numbers(1, 8, 24, 40) + 1e4).to(kind)
    fast = Norm(norm(8, kind))
    found, expected = content(fast.of(map_of(x_1CHW).values_HWC)), plain_norm(x_1CHW.double(), fast)
    assert float((found.double() - expected).abs().max()) < {torch.float64: 1e-11, torch.float32: 5e-3}[kind]
    pending_2C = fast.of(map_of(x_1CHW).values_HWC).pending_2C
    assert pending_2C is not None
    scale_C = torch.from_numpy(fast.weight_C).double() / (x_1CHW.double().var((0, 2, 3), correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(torch.from_numpy(pending_2C[0]).double(), scale_C, rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e4])
def test_a_constant_map_becomes_the_bias(kind: torch.dtype, value: float) -> None:
    """Its variance is 0: by the division by sqrt(1e-5) rounding errors of the mean come out 316 times as large."""
    fast = Norm(norm(4, kind))
    found = content(fast.of(np.full((16, 24, 4), value, fast.weight_C.dtype)))
    expected = F.relu(torch.from_numpy(fast.bias_C))[:, None, None].expand(1, 4, 16, 24)
    eps = torch.finfo(kind).eps
    assert float((found - expected).abs().max()) <= 2000 * eps * abs(value) + eps


def test_rows_of_different_length_count_by_their_pixels() -> None:
    """The last row of tiles may be lower than the others."""
    fast, x_RC = Norm(norm(3)), numbers(50, 3).numpy()
    parts = np.split(x_RC, [20, 40])
    moments_2RC = np.stack([[p.mean(0) for p in parts], [np.square(p - p.mean(0)).sum(0) for p in parts]])
    scale_C, shift_C = fast.from_rows(moments_2RC, np.array([20.0, 20, 10]))
    np.testing.assert_allclose(scale_C, fast.weight_C / np.sqrt(x_RC.var(0) + 1e-5), rtol=1e-13)
    np.testing.assert_allclose(shift_C, fast.bias_C - x_RC.mean(0) * scale_C, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("size", "by"), [((2, 2), 1), ((4, 5), 3), ((9, 16), 3), ((8, 8), 0)])
@pytest.mark.parametrize("with_pending", [False, True])
def test_padding_reflects(kind: torch.dtype, size: tuple[int, int], by: int, with_pending: bool) -> None:
    x_1CHW, pending_2C = numbers(1, 5, *size, kind=kind), pending(5, kind) if with_pending else None
    expected = x_1CHW if pending_2C is None else active(x_1CHW, pending_2C)
    found = content(Map(padded(map_of(x_1CHW, pending_2C), by)))
    torch.testing.assert_close(found, F.pad(expected, (by,) * 4, mode="reflect"), rtol=0, atol=1e-6)
    if pending_2C is None:
        assert torch.equal(found, F.pad(expected, (by,) * 4, mode="reflect"))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("a", [False, True])
@pytest.mark.parametrize("b", [False, True])
def test_sums_are_of_the_contents(kind: torch.dtype, a: bool, b: bool) -> None:
    x = map_of(numbers(1, 5, 6, 7, kind=kind, seed=1), pending(5, kind, 2) if a else None)
    y = map_of(numbers(1, 5, 6, 7, kind=kind, seed=3), pending(5, kind, 4) if b else None)
    expected = content(x) + content(y)
    assert off(content(added(x, y)), expected) < 1e-6
    x_HWC, y_HWC = x.values_HWC.copy(), y.values_HWC.copy()
    added(x, y)
    assert np.array_equal(x.values_HWC, x_HWC) and np.array_equal(y.values_HWC, y_HWC)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_end_of_a_residual_block_has_no_relu(kind: torch.dtype) -> None:
    x, y = map_of(numbers(1, 5, 6, 7, kind=kind, seed=1)), map_of(numbers(1, 5, 6, 7, kind=kind, seed=2))
    scale_C, shift_C = pending(5, kind)
    expected = x.values_HWC + (y.values_HWC * scale_C + shift_C)
    found = add_normed(x, Map(y.values_HWC.copy(), np.stack((scale_C, shift_C))))
    assert found.pending_2C is None and (found.values_HWC < 0).any()
    np.testing.assert_allclose(found.values_HWC, expected, rtol=0, atol=1e-6)


# What is not finite


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 8), (6, 4)])
def test_it_spoils_its_channel_and_no_other(kind: torch.dtype, bad: float, place: tuple[int, int]) -> None:
    x_1CHW, fast = numbers(1, 5, 7, 9, kind=kind), Norm(norm(5, kind))
    clean = content(fast.of(map_of(x_1CHW).values_HWC))
    x_1CHW[0, 2, place[0], place[1]] = bad
    found = content(fast.of(map_of(x_1CHW).values_HWC))
    assert found[:, 2].isnan().all()
    others = [0, 1, 3, 4]
    assert torch.equal(found[:, others], clean[:, others])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_relu_does_not_swallow_it(kind: torch.dtype) -> None:
    def spoilt(bad: float) -> Map:
        given = map_of(numbers(1, 5, 6, 7, kind=kind), np.abs(pending(5, kind)))
        given.values_HWC[2, 3, 1] = bad
        return given

    fine = map_of(numbers(1, 5, 6, 7, kind=kind, seed=8))
    for bad, check in ((np.nan, np.isnan), (np.inf, np.isposinf)):
        assert check(padded(spoilt(bad), 3)[5, 6, 1])
        assert check(added(spoilt(bad), fine).values_HWC[2, 3, 1])
        assert check(added(fine, spoilt(bad)).values_HWC[2, 3, 1])
        assert check(add_normed(fine, spoilt(bad)).values_HWC[2, 3, 1])
        found = consumed(spoilt(bad))
        assert check(found[2, 3, 1]) and np.isfinite(found).sum() == found.size - 1
