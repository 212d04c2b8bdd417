"""Reference flow and where it is kept: interrupted, damaged, spread over workers."""

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flowreel.pipeline.optical_flow import Flow
from flowreel.pipeline.storage import open_store
from flowreel.pipeline.training.data import reference_flow
from flowreel.pipeline.training.data.flow_cache import FLOW_FORMAT, PAIRS, FlowCache
from flowreel.pipeline.training.data.reference_flow import Raft, dis, flow_between, open_method
from flowreel.pipeline.training.data.sources import TrainingSource
from flowreel.schemas.errors import CheckpointError, SourceError, UsageError
from flowreel.schemas.training_data import DataSpec

from ..paired import HEIGHT, PAN, WIDTH, opened, panned, write_paired

SIZE = (WIDTH, HEIGHT)


@pytest.fixture
def source(tmp_path: Path) -> TrainingSource:
    return opened(write_paired(tmp_path / "source", sequences=2, frames=6), tmp_path / "run")


@pytest.fixture
def cache(source: TrainingSource, tmp_path: Path) -> FlowCache:
    return FlowCache(open_store(str(tmp_path / "run")), source.store, SIZE, dis)


def test_flow_is_backward_in_pixels_and_unsure_where_the_frame_before_did_not_show() -> None:
    before, now = panned(0, 2)
    flow_HW2, sure_HW = dis(now, before)
    assert flow_HW2.shape == (HEIGHT, WIDTH, 2) and flow_HW2.dtype == np.float32 and sure_HW.dtype == np.bool_
    np.testing.assert_allclose(np.median(flow_HW2[sure_HW], axis=0), PAN, atol=0.1)
    assert sure_HW[8:-8, 8:-8].mean() > 0.9
    covered = now.copy()
    covered[20:44, 30:60] = np.random.default_rng(5).integers(0, 256, (24, 30, 3))  # nothing like it before
    assert dis(covered, before)[1][24:40, 34:56].mean() < 0.5


def test_tensors_give_the_flow_of_their_pictures() -> None:
    frames = panned(0, 3)
    image_T3HW = torch.from_numpy(frames).movedim(-1, 1).float() / 127.5 - 1
    flow_B2HW, sure_B1HW = flow_between(image_T3HW[1:], image_T3HW[:-1])
    assert flow_B2HW.shape == (2, 2, HEIGHT, WIDTH) and sure_B1HW.shape == (2, 1, HEIGHT, WIDTH)
    flow_HW2, sure_HW = dis(frames[2], frames[1])
    np.testing.assert_array_equal(flow_B2HW[1].movedim(0, -1), flow_HW2)
    np.testing.assert_array_equal(sure_B1HW[1, 0], sure_HW.astype(np.float32))


def test_kept_flow_is_what_was_found_to_a_64th_of_a_pixel(source: TrainingSource, cache: FlowCache) -> None:
    previous, current = source.sequences[0].frames[:2]
    before, now = panned(0, 2)
    flow_HW2, sure_HW = cache.compute_pair(current, previous, now, before)
    again = cache.cached(current, previous)
    assert again is not None
    np.testing.assert_array_equal(again[0], flow_HW2)
    np.testing.assert_array_equal(again[1], sure_HW)
    plain, sure = dis(now, before)
    assert np.abs(flow_HW2 - plain).max() < 1.01 / 128 and np.array_equal(sure_HW, sure)


def test_work_is_every_pair_at_every_stride_once(source: TrainingSource, cache: FlowCache) -> None:
    work = cache.missing(source.sequences, max_stride=3)
    pairs = [(w.sequence, int(c.name), int(p.name)) for w in work for c, p in w.pairs]
    wanted = [(f"seq_{s}", t, t - k) for s in range(2) for k in (1, 2, 3) for t in range(k, 6)]
    assert sorted(pairs) == sorted(wanted)
    long = replace(source.sequences[0], frames=source.sequences[0].frames[:2] * 40)
    assert [len(w.pairs) for w in cache.missing([long])] == [PAIRS] * 4 + [15]


def test_interrupted_work_goes_on_where_it_was(source: TrainingSource, cache: FlowCache) -> None:
    first, second = cache.missing(source.sequences)
    assert pickle.loads(pickle.dumps(cache)).compute(pickle.loads(pickle.dumps(first))) == 5
    assert cache.missing(source.sequences) == [second]
    told: list[tuple[int, int]] = []
    assert cache.compute_all([second], threads=2, progress=lambda done, total: told.append((done, total))) == 5
    assert told == [(5, 5)] and cache.missing(source.sequences) == []


def test_flow_of_another_size_method_or_image_is_another(source: TrainingSource, cache: FlowCache) -> None:
    previous, current, other = source.sequences[0].frames[:3]
    place = cache.path(current, previous)
    assert place.startswith("cache/flow/dis-96x64/") and FLOW_FORMAT == 1
    others = [
        replace(cache, size=(48, 32)).path(current, previous),
        replace(cache, method=Given("raft-1", np.zeros(2))).path(current, previous),
        cache.path(other, previous),
        cache.path(previous, current),
    ]
    assert len({place, *others}) == 5


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "of another size"])
def test_what_is_damaged_is_computed_again(source: TrainingSource, cache: FlowCache, damage: str) -> None:
    previous, current = source.sequences[0].frames[:2]
    before, now = panned(0, 2)
    flow_HW2, _ = cache.compute_pair(current, previous, now, before)
    place = cache.path(current, previous)
    data = bytearray(cache.run.read(place))
    data[len(data) // 2] ^= 4
    small = replace(cache, size=(48, 32))
    small.compute_pair(current, previous, now[:32, :48], before[:32, :48])
    harmed = {
        "cut": bytes(data[:200]), "flipped": bytes(data), "empty": b"",
        "of another size": cache.run.read(small.path(current, previous)),
    }  # fmt: skip
    cache.run.write(place, harmed[damage])
    assert cache.cached(current, previous) is None
    np.testing.assert_array_equal(cache.compute_pair(current, previous, now, before)[0], flow_HW2)
    assert cache.cached(current, previous) is not None


@dataclass(frozen=True)
class Given:
    """The same flow everywhere."""

    name: str
    flow: NDArray[Any]

    def __call__(self, current_HW3: NDArray[np.uint8], previous_HW3: NDArray[np.uint8]) -> Flow:
        h, w = current_HW3.shape[:2]
        return np.broadcast_to(self.flow.astype(np.float32), (h, w, 2)).copy(), np.ones((h, w), np.bool_)


def test_flow_that_is_not_finite_is_an_error_that_names_the_images(source: TrainingSource, cache: FlowCache) -> None:
    broken = replace(cache, method=Given("raft-1", np.array([np.nan, 0])))
    said = "raft-1: flow between seq_0/images/000001.png and seq_0/images/000000.png is not finite"
    with pytest.raises(SourceError, match=said):
        broken.compute(broken.missing(source.sequences)[0])
    assert len(broken.missing(source.sequences)) == 2


@pytest.fixture(scope="module")
def raft_large() -> Callable[..., torch.nn.Module]:
    """torchvision's. A build for another torch has no compiled operators, of which RAFT uses none: declared, they let
    the rest of it be imported."""
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        KEPT.append(library)
    from torchvision.models.optical_flow import raft_large

    made: Callable[..., torch.nn.Module] = raft_large
    return made


KEPT: list[torch.library.Library] = []  # what it declares goes when it does


def test_raft_takes_its_weights_from_a_file_and_fits_any_size(
    tmp_path: Path, raft_large: Callable[..., torch.nn.Module], one_thread: None
) -> None:
    torch.manual_seed(0)
    network = raft_large(weights=None)
    for name, statistics in network.named_buffers():
        statistics.fill_(2 if name.endswith("var") else 0)  # unlike training, these are read
    torch.save(network.state_dict(), tmp_path / "raft.pth")
    method = open_method(DataSpec(flow="raft", flow_weights=str(tmp_path / "raft.pth")))
    assert isinstance(method, Raft)
    assert method.name.startswith("raft-") and pickle.loads(pickle.dumps(method)) == method
    found = reference_flow._raft(method.store, method.file, method.digest).state_dict()
    assert all(torch.equal(value, found[name]) for name, value in network.state_dict().items())
    before, now = panned(0, 2)[:, :60, :90]
    flow_HW2, sure_HW = method(now, before)
    assert flow_HW2.shape == (60, 90, 2) and np.isfinite(flow_HW2).all() and sure_HW.shape == (60, 90)


def test_raft_without_its_weights_says_so(tmp_path: Path, raft_large: object) -> None:
    with pytest.raises(UsageError, match="data.flow_weights"):
        open_method(DataSpec(flow="raft", flow_weights=str(tmp_path / "none.pth")))
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="other.pth: not the weights of torchvision's raft_large: .*Missing key"):
        open_method(DataSpec(flow="raft", flow_weights=str(tmp_path / "other.pth")))
    (tmp_path / "junk.pth").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="junk.pth is not a PyTorch file but text"):
        open_method(DataSpec(flow="raft", flow_weights=str(tmp_path / "junk.pth")))


def test_raft_without_torchvision_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models.optical_flow", None)
    (tmp_path / "raft.pth").write_bytes(b"weights")
    with pytest.raises(UsageError, match="raft needs torchvision, which cannot be loaded"):
        open_method(DataSpec(flow="raft", flow_weights=str(tmp_path / "raft.pth")))
