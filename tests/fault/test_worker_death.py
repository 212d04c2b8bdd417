"""Workers that die while rendering: the culprit fails alone, everybody else is published. On a real local Ray."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray import cloudpickle

from flowreel.jobs.render import Exit, render
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.dataset.versions import FAILURES_FILE
from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.generator.engine import Engine, load_engine
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec
from tests.support.label_source import MakeSource

POISON = 31  # a label id that no other clip has


@dataclass
class Deadly:
    """An engine that takes its process down when ``strikes`` says so of the labels of a frame."""

    real: Engine
    strikes: Callable[[torch.Tensor], bool]

    def __getattr__(self, name: str) -> Any:
        if name == "real":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.real, name)

    def encode(self, frame: torch.Tensor, instance_BHW: torch.Tensor | None) -> Any:
        if self.strikes(frame):
            os._exit(1)
        return self.real.encode(frame, instance_BHW)


def load_poisonable(checkpoint: Checkpoint, settings: RenderSettings) -> Any:
    """Dies of every frame that holds the poisonous class."""
    return Deadly(load_engine(checkpoint, settings), lambda labels: bool((labels == POISON).any()))


@pytest.fixture
def spec(tmp_path: Path, tiny_checkpoint: Path, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch) -> Spec:
    """Four clips of four frames in one shard; the workers get this module by value, they cannot import it."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    make_source(tmp_path / "source", sequences=4, frames=4)
    return Spec.model_validate(
        {
            "dataset": {"uri": str(tmp_path / "dataset")},
            "source": {"uri": str(tmp_path / "source"), "instances": "{sequence}/instances/*.png"},
            "generator": {"checkpoint": str(tiny_checkpoint)},
            "failure": {"max_attempts": 2, "max_failed_fraction": 0.5},
            "execution": {"num_gpus": 0, "num_cpus": 1, "workers": [1, 1]},
        }
    )


def test_a_clip_that_kills_its_worker_fails_alone(spec: Spec, tmp_path: Path) -> None:
    poisoned = tmp_path / "source" / "seq_02" / "labels" / "000003.png"
    poisoned.write_bytes(encode_ids(np.full((32, 64), POISON, np.uint8)))
    result = render(spec, Display(), load=load_poisonable)
    assert result.exit == Exit.WITH_FAILURES
    assert result.version is not None
    assert set(result.version.manifest()["sequence_id"].to_pylist()) == {"seq_00", "seq_01", "seq_03"}
    (failure,) = result.version.table(FAILURES_FILE).to_pylist()
    assert (failure["sequence_id"], failure["kind"], failure["attempts"]) == ("seq_02", "failed", 2)
    assert "worker died" in failure["reason"]


def test_over_the_budget_nothing_is_published_and_a_mended_run_goes_on(spec: Spec, tmp_path: Path) -> None:
    poisoned = tmp_path / "source" / "seq_02" / "labels" / "000003.png"
    good = poisoned.read_bytes()
    poisoned.write_bytes(encode_ids(np.full((32, 64), POISON, np.uint8)))
    strict = spec.model_copy(update={"failure": spec.failure.model_copy(update={"max_failed_fraction": 0.1})})
    refused = render(strict, Display(), load=load_poisonable)
    assert (refused.exit, refused.version, refused.published) == (Exit.OVER_BUDGET, None, False)
    poisoned.write_bytes(good)
    mended = render(strict, Display(), load=load_poisonable)
    assert mended.exit == Exit.DONE
    assert mended.version is not None
    assert mended.version.record.counts.clips == 4


def test_a_worker_that_dies_once_costs_nothing_but_time(spec: Spec, tmp_path: Path) -> None:
    mark = tmp_path / "died"

    def load(checkpoint: Checkpoint, settings: RenderSettings) -> Any:
        def strikes(labels: torch.Tensor) -> bool:
            first = not mark.exists()
            mark.touch()
            return first

        return Deadly(load_engine(checkpoint, settings), strikes)

    result = render(spec, Display(), load=load)
    assert mark.exists()
    assert result.exit == Exit.DONE
    assert result.version is not None
    assert (result.version.record.counts.clips, result.version.record.counts.failed) == (4, 0)
    other = spec.model_copy(update={"dataset": spec.dataset.model_copy(update={"uri": str(tmp_path / "undisturbed")})})
    undisturbed = render(other, Display())
    assert undisturbed.version is not None
    assert undisturbed.version.manifest().equals(result.version.manifest())
