"""What goes wrong while a generator is trained: losses that are not finite, weights that are not, runs that diverge."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flowreel.jobs.engine.cluster import local_gpus
from flowreel.pipeline.training import evaluation, run, state
from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.initial_state import open_state
from flowreel.pipeline.training.log import read_log
from flowreel.pipeline.training.objective.networks import Networks
from flowreel.pipeline.training.objective.objective import Losses
from flowreel.pipeline.training.plan import TrainPlan, prepare, with_absolute_paths
from flowreel.schemas.errors import DivergedError
from flowreel.schemas.training import TrainSpec

from .paired import train_spec, write_paired

pytestmark = pytest.mark.usefixtures("one_thread")

TINY: dict[str, Any] = {
    "generator": {"ngf": 4, "n_downsample": 2, "n_blocks": 2},
    "discriminators": {"members": 1, "layers": 2, "width": 4, "temporal_scales": 0},
    "schedule": {"epochs": 2, "decay_epochs": 0, "double_every": 2, "epoch_clips": 2, "clip_frames": 1},
    "saving": {"every": 1, "log_every": 1, "samples_every": 1000},
    "execution": {"num_gpus": 0},
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_paired(tmp_path_factory.mktemp("paired"), sequences=2, frames=4)


def plan_of(source: Path, output: Path | str, **groups: Any) -> TrainPlan:
    named = {name: TINY.get(name, {}) | groups.get(name, {}) for name in TINY.keys() | groups.keys()}
    return prepare(train_spec(source, output, **named))


def start(plan: TrainPlan) -> run.Run:
    return run.Run(plan, Worker(), open_state(plan, "cpu"), lambda record: None)


def train(plan: TrainPlan) -> None:
    start(plan).train()


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Losses, Networks], None], int], None]:
    """Calls something with the losses and networks of one step, after its gradients."""

    def install(what: Callable[[Losses, Networks], None], step: int) -> None:
        real, calls = run.add_gradients, iter(range(1, 1000))

        def add(losses: Losses, networks: Networks, share: float = 1.0) -> None:
            real(losses, networks, share)
            if next(calls) == step:
                what(losses, networks)

        monkeypatch.setattr(run, "add_gradients", add)

    return install


def nan_gradient(losses: Losses, networks: Networks) -> None:
    gradient = next(p.grad for p in networks.generator.parameters() if p.grad is not None)
    gradient.flatten()[0] = float("nan")


def infinite_loss(losses: Losses, networks: Networks) -> None:
    losses.terms["L1"] = torch.tensor(float("inf"))
    losses.generator.detach().fill_(float("inf"))


@pytest.mark.parametrize(
    ("what", "said"),
    [(nan_gradient, "a gradient is not finite"), (infinite_loss, r"the loss is not finite \(L1\)")],
)
def test_what_is_not_finite_ends_the_run_with_step_and_clip(
    source: Path, tmp_path: Path, spoil: Any, what: Any, said: str
) -> None:
    spoil(what, step=3)
    place = r"step 3, sequence seq_[01], frames 00000\d to 00000\d: "
    with pytest.raises(DivergedError, match=place + said):
        train(plan_of(source, tmp_path))
    assert [file.stem for file in sorted((tmp_path / "state").iterdir())] == ["000000001", "000000002"]
    train(plan_of(source, tmp_path))  # the same command resumes from the newest state, which is a good one
    assert read_log(plan_of(source, tmp_path).output)[-1]["step"] == 4


def test_a_bad_state_is_not_saved(source: Path, tmp_path: Path) -> None:
    begun = start(plan_of(source, tmp_path))
    with torch.no_grad():
        next(begun.state.average.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"step 0: weights are not finite \(.+\), so they are not saved"):
        state.save(begun.plan.output, begun.state, keep=2)
    assert not (tmp_path / "state").exists() and not (tmp_path / "model.safetensors").exists()


def test_a_run_that_ends_worse_than_it_began_says_so(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, distances = evaluation.evaluate, iter([0.4, 0.9])

    def worse(*args: Any) -> Any:
        figures, frames = real(*args)
        return figures | {"shown_l1": next(distances)}, frames

    monkeypatch.setattr(evaluation, "evaluate", worse)
    with pytest.raises(DivergedError, match=r"ended at trained_on_l1 0.9, worse than 0.4 before its first step"):
        train(plan_of(source, tmp_path))


def test_figures_say_whether_their_sequence_was_held_out(source: Path, tmp_path: Path) -> None:
    plan = plan_of(source, tmp_path)
    assert "none held out: samples show seq_0, which is trained on" in plan.summary()[0]
    train(plan)
    names = {name for record in read_log(plan.output) for name in record}
    assert {"trained_on_l1", "trained_on_warp_error"} <= names and not any("held_out" in name for name in names)


def test_the_outlook_times_a_step_and_changes_nothing(source: Path, tmp_path: Path) -> None:
    begun = start(plan_of(source, tmp_path, schedule={"epochs": 12}))
    before = {name: value.clone() for name, value in begun.state.networks.state_dict().items()}
    outlook = begun.outlook()
    after = begun.state.networks.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in begun.state.networks.parameters())
    assert outlook.seconds_per_step and outlook.seconds_left == outlook.seconds_per_step * outlook.steps_left
    assert (outlook.step, outlook.steps_left, outlook.workers) == (0, begun.plan.total_steps, 1)
    assert "CPU" in outlook.device
    assert outlook.generator_parameters == sum(p.numel() for p in begun.state.networks.generator.parameters())


def test_a_short_run_is_not_timed_and_a_resumed_one_knows(source: Path, tmp_path: Path) -> None:
    plan = plan_of(source, tmp_path)
    assert start(plan).outlook().seconds_left is None
    train(plan)
    longer = start(plan_of(source, tmp_path, schedule={"epochs": 4})).outlook()
    measured = [record["seconds_per_step"] for record in read_log(plan.output) if "seconds_per_step" in record]
    assert longer.step == 4 and longer.seconds_per_step == measured[-1]


def test_local_places_do_not_depend_on_where_workers_run(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    plan = plan_of(source, "runs/one")
    monkeypatch.chdir(tmp_path / "elsewhere")  # as Ray Train's workers do
    train(plan)
    assert (tmp_path / "runs/one/model.safetensors").is_file() and not list((tmp_path / "elsewhere").iterdir())
    monkeypatch.chdir(tmp_path)
    assert plan_of(source, "runs/one").finished


def test_all_local_places_of_a_spec_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tree: dict[str, Any] = {
        "output": "out",
        "source": {"uri": "real", "images": "{sequence}/images/*.png", "label_space": "space.yaml"},
        "data": {"flow": "raft", "flow_weights": "raft.pth"},
        "generator": {"init": "s3://bucket/first"},
        "losses": {"perceptual_weights": "weights/vgg.pth"},
    }
    spec = with_absolute_paths(TrainSpec.model_validate(tree))
    assert spec.source and (spec.output, spec.source.uri) == (f"{tmp_path}/out", f"{tmp_path}/real")
    assert spec.source.label_space == f"{tmp_path}/space.yaml" and spec.generator.init == "s3://bucket/first"
    assert spec.data.flow_weights == f"{tmp_path}/raft.pth"
    assert spec.losses.perceptual_weights == f"{tmp_path}/weights/vgg.pth"
    of_dataset = with_absolute_paths(TrainSpec.model_validate({"output": "out", "dataset": "city@3"}))
    assert of_dataset.dataset == f"{tmp_path}/city@3" and with_absolute_paths(of_dataset) == of_dataset


def test_gpus_are_counted_by_pytorch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build for CPUs alone is not imported; any other is asked."""
    assert local_gpus() == torch.cuda.device_count()
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("class cuda:\n    device_count = staticmethod(lambda: 3)\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    (package / "version.py").write_text("cuda: Optional[str] = None\nhip: Optional[str] = None\n")
    assert local_gpus() == 0 and "torch" not in sys.modules
    (package / "version.py").write_text("cuda: Optional[str] = '12.8'\n")
    assert local_gpus() == 3
