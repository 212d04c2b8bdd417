"""Long clips go on mid-way, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowreel.pipeline.generator.checkpoint import checkpoint_store, read_checkpoint
from flowreel.pipeline.generator.clip_data import ClipFrames, Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import Engine, Kind, engine_for
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.render.long_clips import ClipCheckpoints, render_long
from flowreel.pipeline.storage import Store, open_store

PLAN, CLIP = "0" * 32, "1" * 32

FRAMES, EVERY = 11, 4
HOW = RenderOptions("repeat", flow=True)


class Killed(Exception):
    """In place of the end of a process."""


@pytest.fixture(params=["plain", "fast"])
def engine(request: pytest.FixtureRequest, tiny_checkpoint: Path, one_thread: None) -> Engine:
    kind: Kind = request.param
    checkpoint = read_checkpoint(checkpoint_store(str(tiny_checkpoint), {}))
    return engine_for(load_generator(checkpoint, "cpu"), "float32", kind)


@pytest.fixture
def clip() -> Conditioning:
    seeded = np.random.default_rng(0)
    label_THW = seeded.integers(0, 30, (FRAMES, 4, 8)).repeat(8, axis=1).repeat(8, axis=2)
    return Conditioning(label_THW, label_THW * 1000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def pieces(store: Store) -> ClipCheckpoints:
    return ClipCheckpoints(store, PLAN, CLIP, EVERY)


def dying_after(frames: int) -> Callable[[int], None]:
    left = [frames]

    def tick(_: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    return tick


def same(one: ClipFrames, other: ClipFrames) -> bool:
    flows: Any = (one.flow_THW2, other.flow_THW2)
    return one.first == other.first and np.array_equal(one.image_THW3, other.image_THW3) and np.array_equal(*flows)


@pytest.mark.parametrize("lead_in", ["repeat", "drop"])
def test_a_clip_goes_on_where_it_was_killed(engine: Engine, clip: Conditioning, store: Store, lead_in: Any) -> None:
    how = RenderOptions(lead_in, flow=True)
    (whole,) = render_clips(engine, [clip], how)
    with pytest.raises(Killed):
        render_long(engine, clip, how, pieces(store), dying_after(7))
    assert len(store.list(f"runs/{PLAN}/pieces/{CLIP}")) == 1
    ticks: list[int] = []
    assert same(render_long(engine, clip, how, pieces(store), ticks.append), whole)
    assert len(ticks) == len(whole.image_THW3) - EVERY  # what was saved is not rendered again


def test_a_damaged_piece_is_rendered_again(engine: Engine, clip: Conditioning, store: Store) -> None:
    (whole,) = render_clips(engine, [clip], HOW)
    with pytest.raises(Killed):
        render_long(engine, clip, HOW, pieces(store), dying_after(10))
    first, second = store.list(f"runs/{PLAN}/pieces/{CLIP}")
    store.write(second.path, store.read(second.path)[:-20])
    ticks: list[int] = []
    assert same(render_long(engine, clip, HOW, pieces(store), ticks.append), whole)
    assert len(ticks) == FRAMES - EVERY
    pieces(store).forget()
    assert store.list("runs") == []
    assert first.path != second.path
