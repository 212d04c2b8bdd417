"""The networks' building blocks against the modules that they stand for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flowreel.pipeline.generator import layers
from flowreel.pipeline.generator.fast.activations import Norm
from flowreel.pipeline.generator.fast.blocks import Head, PictureConv, blocks, run

from .maps import KINDS, active, content, filled, map_of, numbers, pending

pytestmark = pytest.mark.usefixtures("one_thread")

# Outputs are of the order of 1 to 3: norms come last, or weights are small.
BOUNDS = {torch.float64: 1e-11, torch.float32: 3e-5}
SIZES = [(8, 8), (8, 16), (20, 12)]


def sequences() -> dict[str, nn.Sequential]:
    return {
        "down": nn.Sequential(*layers.down(5, 10)),
        "up": nn.Sequential(*layers.up(10, 5)),
        "residual": nn.Sequential(*layers.res_blocks(12, 1)),
        "all": nn.Sequential(*layers.downs(6, 2), *layers.res_blocks(24, 2), *layers.ups(6, 2)),
    }


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", sequences())
def test_blocks_do_what_modules_do(name: str, size: tuple[int, int], kind: torch.dtype) -> None:
    """Biases in front of norms included: they have no effect."""
    modules = filled(sequences()[name])
    channels = next(p for p in modules.parameters() if p.ndim == 4).shape[0 if name == "up" else 1]
    x_1CHW = numbers(1, channels, *size)
    expected = modules(x_1CHW)
    fast = blocks(modules.to(kind), kind)
    maps = [map_of(x_1CHW.to(kind)), map_of(numbers(1, channels, *size, kind=kind, seed=5))]
    alone = content(run(fast, [map_of(x_1CHW.to(kind))])[0])
    torch.testing.assert_close(alone.double(), expected, rtol=0, atol=BOUNDS[kind])
    assert torch.equal(content(run(fast, maps)[0]), alone)  # whatever else is done with it


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", ["down", "up", "residual"])
def test_what_is_pending_is_applied(name: str, kind: torch.dtype) -> None:
    modules = filled(sequences()[name])
    channels = {"down": 5, "up": 10, "residual": 12}[name]
    x_1CHW, pending_2C = numbers(1, channels, 8, 12), pending(channels)
    expected = modules(active(x_1CHW, pending_2C))
    given = map_of(x_1CHW.to(kind), torch.from_numpy(pending_2C).to(kind).numpy())
    found = content(run(blocks(modules.to(kind), kind), [given])[0])
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=BOUNDS[kind])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("size", [*SIZES, (5, 7)], ids=str)
def test_the_first_convolution_of_a_picture(size: tuple[int, int], kind: torch.dtype) -> None:
    modules = filled(nn.Sequential(*layers.entry(6, 11)))
    x_1CHW = numbers(1, 6, *size)
    expected = modules(x_1CHW)
    modules = modules.to(kind)
    conv, norm = modules.get_submodule("1"), modules.get_submodule("2")
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, layers.ClipNorm)
    found = content(PictureConv(conv, Norm(norm))(x_1CHW[0].to(kind)))
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=BOUNDS[kind])


def heads(*outputs: int, kind: torch.dtype) -> list[nn.Conv2d]:
    made = [filled(nn.Conv2d(9, count, 7), kind, seed=10 * i) for i, count in enumerate(outputs)]
    return [conv for conv in made if isinstance(conv, nn.Conv2d)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("outputs", [(3,), (2, 1), (1,)], ids=str)
@pytest.mark.parametrize("size", [*SIZES, (5, 7)], ids=str)
@pytest.mark.parametrize("with_pending", [False, True])
def test_heads_are_convolutions(
    size: tuple[int, int], outputs: tuple[int, ...], with_pending: bool, kind: torch.dtype
) -> None:
    convs, x_1CHW = heads(*outputs, kind=kind), numbers(1, 9, *size, kind=kind)
    pending_2C = pending(9, kind) if with_pending else None
    seen_1CHW = (x_1CHW if pending_2C is None else active(x_1CHW, pending_2C)).double()
    padded_1CHW = F.pad(seen_1CHW, (3, 3, 3, 3), mode="reflect")
    expected = []
    for conv in convs:
        assert conv.bias is not None
        expected.append(F.conv2d(padded_1CHW, conv.weight.double(), conv.bias.double())[0])
    found = Head(*convs)(map_of(x_1CHW, pending_2C))
    assert found.dtype == kind
    torch.testing.assert_close(found.double(), torch.cat(expected), rtol=0, atol=BOUNDS[kind])
    height, width = size
    for top, left, bottom, right in [(0, 0, 1, width), (1, 2, height, width), (height - 1, width - 1, height, width)]:
        part = Head(*convs)(map_of(x_1CHW, pending_2C), (top, left, bottom, right))
        wanted = torch.cat(expected)[:, top:bottom, left:right]
        torch.testing.assert_close(part.double(), wanted, rtol=0, atol=BOUNDS[kind])


# What is not finite


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["down", "up", "residual"])
def test_it_stays_visible_in_blocks(name: str, bad: float, kind: torch.dtype) -> None:
    modules = filled(sequences()[name], kind)
    given = map_of(numbers(1, {"down": 5, "up": 10, "residual": 12}[name], 8, 12, kind=kind))
    given.values_HWC[3, 5, 1] = bad
    assert content(run(blocks(modules, kind), [given])[0]).isnan().all()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_it_stays_visible_in_heads(bad: float, kind: torch.dtype) -> None:
    given = map_of(numbers(1, 9, 20, 24, kind=kind))
    given.values_HWC[10, 11, 4] = bad
    found = Head(*heads(2, 1, kind=kind))(given)
    assert not found[:, 7:14, 8:15].isfinite().any()
    assert found[:, :7].isfinite().all() and found[:, 14:].isfinite().all()
