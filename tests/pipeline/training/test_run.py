"""Whole small runs in this process: what they leave, and that stopping and going on changes nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from flowreel.pipeline.generator.checkpoint import read_checkpoint
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.storage import open_store
from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.initial_state import open_state
from flowreel.pipeline.training.log import Record, read_log
from flowreel.pipeline.training.plan import TrainPlan, prepare
from flowreel.pipeline.training.run import Run
from flowreel.schemas.errors import CheckpointError, UsageError

from .paired import train_spec, write_paired

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL: dict[str, Any] = {
    "generator": {"ngf": 4, "n_downsample": 2, "n_blocks": 2, "n_scales": 2, "foreground": ["car"]},
    "discriminators": {"members": 1, "layers": 2, "width": 4, "temporal_scales": 1, "temporal_frames": 2},
    "losses": {"reconstruction": 5, "adversarial_ramp": [1, 2]},
    "schedule": {
        "epochs": 2, "decay_epochs": 1, "double_every": 1, "finest_only": 1, "epoch_clips": 3,
        "clip_frames": 2, "load_frames": 2, "backprop_frames": 2, "empty_start": 0.5,
    },
    "saving": {"every": 2, "keep": 100, "log_every": 1, "samples_every": 4},
    "execution": {"num_gpus": 0},
}  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_paired(tmp_path_factory.mktemp("paired"), sequences=3, frames=6)


def plan_of(source: Path, output: Path, **groups: Any) -> TrainPlan:
    told = {name: SMALL.get(name, {}) | groups.get(name, {}) for name in SMALL.keys() | groups.keys()}
    return prepare(train_spec(source, output, **told))


def run(plan: TrainPlan) -> list[Record]:
    """Trains to the end; what was posted on the way."""
    posted: list[Record] = []
    Run(plan, Worker(), open_state(plan, "cpu"), posted.append).train()
    return posted


def newest(output: Path) -> dict[str, Any]:
    return torch.load(max((output / "state").iterdir()), weights_only=True)


def without_times(log: list[Record]) -> list[Record]:
    return [{k: v for k, v in record.items() if k != "seconds_per_step"} for record in log]


@pytest.fixture(scope="module")
def finished(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("finished")
    run(plan_of(source, output, data={"hold_out": ["seq_2"]}))
    return output


def test_it_leaves_a_checkpoint_that_loads(finished: Path) -> None:
    checkpoint = read_checkpoint(open_store(str(finished)))
    assert isinstance(checkpoint.config, GeneratorConfig)
    assert checkpoint.config.held_out == ("seq_2",) and checkpoint.config.fg_labels == (26,)
    generator = load_generator(checkpoint, "cpu")
    saved = newest(finished)["average"]
    for name, value in generator.named_parameters():
        assert torch.equal(value, saved[name].bfloat16().float()), name


def test_it_takes_the_steps_that_were_planned(source: Path, finished: Path) -> None:
    plan = plan_of(source, finished, data={"hold_out": ["seq_2"]})
    assert plan.total_steps == newest(finished)["position"]["step"] == 3 + 3 * 2 + 3 * 2
    assert plan.finished and [r["step"] for r in read_log(plan.output) if "L1" in r] == list(range(1, 16))


def test_log_samples_and_board_are_there(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "held_out_l1" in line] == [0, 5, 9, 13, 15]
    assert all(0 < line["held_out_l1"] < 2 for line in lines if "held_out_l1" in line)
    adversarial = [line["step"] for line in lines if "G_GAN" in line]
    assert adversarial == list(range(4, 16)), "from the second epoch on"
    assert {p.suffix for p in (finished / "samples").iterdir()} == {".mp4", ".png"}
    assert list((finished / "tensorboard").glob("events*"))


def test_going_on_from_a_state_is_exact(source: Path, finished: Path, tmp_path: Path) -> None:
    """Also over the epoch in which all scales begin to learn, and within an epoch."""
    steps = sorted(int(file.stem) for file in (finished / "state").iterdir())
    for step in (steps[0], steps[2]):
        output = tmp_path / str(step)
        shutil.copytree(finished, output)
        for later in (s for s in steps if s > step):
            (output / "state" / f"{later:09d}.pt").unlink()
        plan = plan_of(source, output, data={"hold_out": ["seq_2"]})
        assert plan.resumes_at == step and any("resuming" in line for line in plan.summary())
        run(plan)
        assert without_times(read_log(plan.output)) == without_times(read_log(open_store(str(finished))))
        before, after = newest(finished), newest(output)
        for part in ("networks", "average"):
            assert all(torch.equal(before[part][k], after[part][k]) for k in before[part])


def test_accumulated_gradients_are_those_of_more_workers_clips(source: Path, tmp_path: Path) -> None:
    """Two clips at once take half the steps, on other gradients than one."""
    both = plan_of(source, tmp_path / "both", optimiser={"accumulate": 3})
    assert both.rounds == 1 and len(both.samples(1, 0)) == 3
    run(both)
    assert newest(tmp_path / "both")["position"]["step"] == both.total_steps == 1 + 2 + 2


def test_another_architecture_is_refused(source: Path, finished: Path) -> None:
    with pytest.raises(UsageError, match=r"generator\.ngf was 4, is 8"):
        plan_of(source, finished, generator={"ngf": 8}, data={"hold_out": ["seq_2"]})


def test_damaged_state_is_named(source: Path, finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "damaged"
    shutil.copytree(finished, output)
    (output / "state" / "000000099.pt").write_bytes(b"no state")
    with pytest.raises(CheckpointError, match=r"000000099\.pt is not a state .* delete it"):
        open_state(plan_of(source, output, data={"hold_out": ["seq_2"]}), "cpu")


def test_training_goes_on_from_a_checkpoint(source: Path, finished: Path, tmp_path: Path) -> None:
    plan = plan_of(source, tmp_path, generator={"init": str(finished)}, data={"hold_out": ["seq_2"]})
    first = dict(open_state(plan, "cpu").networks.generator.named_parameters())
    loaded = load_generator(read_checkpoint(open_store(str(finished))), "cpu")
    assert all(torch.equal(first[name], value) for name, value in loaded.named_parameters())
    with pytest.raises(UsageError, match=r"another architecture: n_blocks is 2, but the spec makes it 3"):
        plan_of(source, tmp_path, generator={"init": str(finished), "n_blocks": 3})
