"""Label maps as sparse pictures, and 7x7 convolutions of them, against dense ones."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowreel.pipeline.generator.conditioning import encode, instance_edges, pyramid
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.fast.activations import Map, Norm
from flowreel.pipeline.generator.fast.label_conv import LabelConv, convolved
from flowreel.pipeline.generator.fast.labels import SparsePicture, from_labels, joined, pooled
from flowreel.pipeline.generator.rollout import foreground_mask

from .maps import FOREGROUND, IDS, KINDS, PICTURES, content, filled, norm, off, plain_norm

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = [(32, 48), (16, 20)]  # height, width: level 2 is as small as 4 x 5, the least that padding by 3 takes
BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-5}


def config(edges: bool, fg_labels: tuple[int, ...] = (FOREGROUND,)) -> GeneratorConfig:
    return GeneratorConfig(ngf=4, use_instance=edges, fg_labels=fg_labels, n_scales=3)


@cache
def levels(name: str, size: tuple[int, int], edges: bool, kind: torch.dtype) -> list[SparsePicture]:
    """Finest first."""
    label_HW, instance_HW = PICTURES[name](*size)
    edge_HW = instance_edges(instance_HW).numpy() if edges else None
    made = [from_labels(label_HW.numpy(), edge_HW, IDS, np.float64 if kind == torch.float64 else np.float32)]
    for _ in range(2):
        made.append(pooled(made[-1], IDS + edges))
    return made


@cache
def dense(name: str, size: tuple[int, int], edges: bool, kind: torch.dtype) -> list[Tensor]:
    """What the plain networks are given, (1, L, H, W), finest first."""
    label_HW, instance_HW = PICTURES[name](*size)
    return pyramid(encode(label_HW[None], instance_HW[None], config(edges)).to(kind), 3)[::-1]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PICTURES)
def test_all_levels_are_exactly_the_dense_ones(
    name: str, size: tuple[int, int], edges: bool, kind: torch.dtype
) -> None:
    pairs = list(zip(levels(name, size, edges, kind), dense(name, size, edges, kind), strict=True))
    for sparse, expected in pairs:
        found = torch.from_numpy(sparse.dense(IDS + edges))[None]
        assert found.dtype == kind and torch.equal(found, expected)
        assert (sparse.value_N > 0).all() and np.diff(sparse.begin_P).min() >= 1


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("fg_labels", [(FOREGROUND,), (0,), (0, FOREGROUND), (7, 11, 23, FOREGROUND), (IDS,)], ids=str)
@pytest.mark.parametrize("name", PICTURES)
def test_totals_are_the_foreground_masks(name: str, fg_labels: tuple[int, ...], kind: torch.dtype) -> None:
    edges = IDS in fg_labels
    pairs = zip(levels(name, SIZES[0], edges, kind), dense(name, SIZES[0], edges, kind), strict=True)
    for sparse, picture_1LHW in pairs:
        expected = picture_1LHW[:, list(fg_labels)].sum(dim=1).clamp(0, 1)[0]
        if not edges:
            assert torch.equal(expected, foreground_mask(picture_1LHW, config(False, fg_labels))[0, 0])
        found = torch.from_numpy(sparse.total(fg_labels))
        assert found.dtype == kind
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-7 if kind == torch.float32 else 1e-15)
        assert torch.equal(found > 0, expected > 0)  # nothing is not nearly nothing: it decides what is calculated


def reflected(i: int, size: int) -> int:
    return -i if i < 0 else 2 * size - 2 - i if i >= size else i


@pytest.mark.parametrize("name", PICTURES)
def test_uniform_places_are_found(name: str) -> None:
    height, width = 16, 20
    for sparse in levels(name, (height, width), True, torch.float32)[:2]:
        picture_LHW = sparse.dense(IDS + 1)
        height, width = picture_LHW.shape[1:]
        alone = (picture_LHW != 0).sum(axis=0) == 1
        pure_HW = np.where(alone & (picture_LHW.max(axis=0) == 1), picture_LHW.argmax(axis=0), -1)
        padded = np.pad(pure_HW, 3, mode="reflect")
        areas = np.stack([padded[y : y + height, x : x + width] for y in range(7) for x in range(7)])
        np.testing.assert_array_equal(sparse.pure_HW, pure_HW)
        np.testing.assert_array_equal(sparse.area_HW, np.where((areas == pure_HW).all(axis=0), pure_HW, -1))


@pytest.mark.parametrize("name", PICTURES)
def test_terms_are_the_lines(name: str) -> None:
    """Each pixel of a line once, with its value; neighbours of one label together."""
    runs = [(first, end) for first in range(7) for end in range(first + 1, 8)]
    for sparse in levels(name, (16, 20), True, torch.float32)[:2]:
        padded_LHW = np.pad(sparse.dense(IDS + 1), ((0, 0), (0, 0), (3, 3)), mode="reflect")
        width = sparse.area_HW.shape[1]
        for p in range(sparse.area_HW.size):
            line_L7 = np.zeros((IDS + 1, 7), np.float32)
            here = slice(sparse.line_P[p], sparse.line_P[p + 1])
            for place, factor in zip(sparse.run_M[here], sparse.factor_M[here], strict=True):
                first, end = runs[place % 28]
                line_L7[place // 28, first:end] += factor
            y, x = divmod(p, width)
            np.testing.assert_array_equal(line_L7, padded_LHW[:, y, x : x + 7])
            if sparse.area_HW[y, x] >= 0:
                assert here.stop - here.start == 1


# Convolutions


def built(frames: int, outputs: int, edges: bool, kind: torch.dtype, seed: int = 0) -> tuple[nn.Conv2d, LabelConv]:
    conv = filled(nn.Conv2d(frames * (IDS + edges), outputs, 7), kind, seed)
    assert isinstance(conv, nn.Conv2d)
    return conv, LabelConv(conv, Norm(norm(outputs, kind, seed)), frames)


def checked(found: Map, conv: nn.Conv2d, picture_1CHW: Tensor, kind: torch.dtype) -> Tensor:
    """Compares with the dense convolution, which it returns: in float64, without the bias."""
    assert picture_1CHW.dtype == kind
    expected = F.conv2d(F.pad(picture_1CHW.double(), (3, 3, 3, 3), mode="reflect"), conv.weight.double())
    values_1OHW = torch.from_numpy(found.values_HWC).permute(2, 0, 1)[None].double()
    torch.testing.assert_close(values_1OHW, expected, rtol=0, atol=BOUNDS[kind])
    return expected


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize(
    ("names", "outputs"),
    [
        (("street", "street"), 12),
        (("noise", "noise"), 12),
        (("constant", "constant"), 5),
        (("blocks", "constant", "noise", "street"), 17),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_is_the_convolution_of_the_dense_pictures(
    size: tuple[int, int], names: Sequence[str], outputs: int, edges: bool, kind: torch.dtype
) -> None:
    conv, fast = built(len(names), outputs, edges, kind)
    for level in range(3):
        window = joined([levels(name, size, edges, kind)[level] for name in names])
        picture_1CHW = torch.cat([dense(name, size, edges, kind)[level] for name in names], dim=1)
        found, other = convolved(window, fast, None)
        expected = checked(found, conv, picture_1CHW, kind)
        assert other is None
        if set(names) != {"constant"}:
            assert off(content(found), plain_norm(expected, fast.norm)) < 10 * BOUNDS[kind]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_two_convolutions_at_once_give_the_bits_of_each(level: int, kind: torch.dtype) -> None:
    (_, one), (_, two) = built(2, 12, True, kind), built(2, 5, True, kind, seed=50)
    window = joined([levels(name, (32, 48), True, kind)[level] for name in ("blocks", "street")])
    first, second = convolved(window, one, two)
    assert second is not None
    for found, alone in ((first, convolved(window, one, None)[0]), (second, convolved(window, two, None)[0])):
        assert found.pending_2C is not None and alone.pending_2C is not None
        assert np.array_equal(found.values_HWC, alone.values_HWC) and np.array_equal(found.pending_2C, alone.pending_2C)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract")
def test_a_weight_that_is_not_finite_stays_visible(kind: torch.dtype, bad: float) -> None:
    """Where its label is, and, by the norm, in all of its output."""
    conv, _ = built(1, 4, False, kind)
    conv.weight.data[2, FOREGROUND, 3, 3] = bad
    fast = LabelConv(conv, Norm(norm(4, kind)), 1)
    sparse = levels("blocks", (32, 48), False, kind)[0]
    found, _ = convolved(joined([sparse]), fast, None)
    assert not np.isfinite(found.values_HWC[sparse.pure_HW == FOREGROUND][:, 2]).any()
    assert np.isfinite(found.values_HWC[..., [0, 1, 3]]).all()
    assert content(found)[:, 2].isnan().all()
