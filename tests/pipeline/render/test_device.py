"""What GPUs ask of the code, as far as a CPU can show it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.engine import Engine, PlainEngine, engine_for
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.render.shard import ShardRenderer
from flowreel.schemas.errors import DeviceLost
from flowreel.schemas.outcome import Rendered

Run = Any  # the fixture's type lies in conftest, which is not importable
LOOKS = (
    "aten::_local_scalar_dense"  # a value of a tensor is asked for: on a GPU, all work that is under way is waited for
)


class Calls(TorchDispatchMode):
    """Counts operators."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


def test_no_frame_waits_for_the_device() -> None:
    config = GeneratorConfig(ngf=4, n_downsample=2, n_blocks=1, n_scales=2, fg_labels=(26,), use_instance=True)
    engine = PlainEngine(VideoGenerator(config).eval().requires_grad_(False))
    looks = []
    for frames in (4, 8):
        label_THW = np.random.default_rng(0).integers(0, 34, (frames, 32, 64))
        with Calls() as calls:
            render_clips(engine, [Conditioning(label_THW, label_THW)], RenderOptions(flow=True))
        assert sum(n for name, n in calls.count.items() if "conv" in name) > frames
        looks.append(calls.count[LOOKS])
    assert looks[0] == looks[1] <= 1


class Failing:
    """An engine that fails as the device of another machine would: where PyTorch itself raises it."""

    def __init__(self, engine: Engine, fails: Callable[[int], Exception | None]) -> None:
        self._engine, self._fails, self.batches = engine, fails, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def encode(self, frame: torch.Tensor, instance_BHW: torch.Tensor | None) -> Any:
        self.batches.append(len(frame))
        if error := self._fails(len(frame)):
            raise error
        return self._engine.encode(frame, instance_BHW)


def renderer(run: Run, fails: Callable[[int], Exception | None], **spec: Any) -> tuple[ShardRenderer, Failing, Any]:
    prepared = run.prepare(**spec)
    engine = Failing(engine_for(load_generator(prepared.job.checkpoint, "cpu")), fails)
    return ShardRenderer(prepared.job, prepared.plan.plan_id, engine), engine, prepared


def test_a_batch_without_room_is_halved_and_so_are_those_after_it(local_run: Run) -> None:
    def fails(batch: int) -> Exception | None:
        return torch.OutOfMemoryError("CUDA out of memory") if batch > 1 else None

    worker, engine, prepared = renderer(local_run, fails)
    assert prepared.job.settings.batch == 2
    outcomes = [worker.render(shard) for shard in prepared.plan.shards]
    assert len(outcomes) > 1 and all(isinstance(clip, Rendered) for o in outcomes for clip in o.clips)
    assert engine.batches.count(2) == 1 and worker.fitting == 1


def test_a_clip_that_alone_has_no_room_fails(local_run: Run) -> None:
    worker, _, prepared = renderer(local_run, lambda batch: torch.OutOfMemoryError("CUDA out of memory"))
    outcome = worker.render(prepared.plan.shards[0])
    assert [loss.reason for loss in outcome.lost] == ["OutOfMemoryError: CUDA out of memory"] * len(outcome.clips)


@pytest.mark.parametrize("alone", [False, True])
def test_a_lost_device_is_no_clip_s_failure(local_run: Run, alone: bool) -> None:
    worker, _, prepared = renderer(local_run, lambda batch: torch.AcceleratorError("CUDA error: launch failure"))
    shard = prepared.plan.shards[0]
    shard = replace(shard, clips=shard.clips[:1]) if alone else shard
    with pytest.raises(DeviceLost, match="CUDA error: launch failure"):
        worker.render(shard)
