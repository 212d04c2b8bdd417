"""`flowreel train` as users run it: two workers, one of which is killed; wrong input before anything starts."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.common import family
from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.initial_state import open_state
from flowreel.pipeline.training.plan import prepare
from flowreel.pipeline.training.run import Run
from flowreel.schemas.training import TrainSpec
from tests.fault.harness import processes
from tests.pipeline.training.paired import write_paired

from .conftest import REPOSITORY, Flowreel, command

LIMIT_S = 600  # Ray Train starts a worker group in seconds, or in minutes on a machine that is busy
SPEC: dict[str, Any] = {
    "source": {"instances": "{sequence}/instances/*.png", "images": "{sequence}/images/*.png"},
    "data": {"size": [96, 64]},
    "generator": {"ngf": 4, "n_downsample": 2, "n_blocks": 2},
    "discriminators": {"members": 1, "layers": 2, "width": 4, "temporal_scales": 1, "temporal_frames": 2},
    "schedule": {"epochs": 30, "decay_epochs": 0, "double_every": 30, "epoch_clips": 2, "clip_frames": 4},
    "saving": {"every": 10, "samples_every": 1000},
    "execution": {"num_gpus": 0, "num_cpus": 1, "workers": 2},
}


def spec_tree(root: Path, output: Path, **groups: dict[str, Any]) -> dict[str, Any]:
    tree = {**SPEC, "output": str(output), "source": {**SPEC["source"], "uri": str(root)}}
    return tree | {name: {**tree.get(name, {}), **group} for name, group in groups.items()}


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(1300)
def test_killed_worker_is_replaced_and_changes_nothing(tmp_path: Path) -> None:
    """Two workers of one clip each take the steps of one worker with two, whatever happens to them on the way."""
    source = write_paired(tmp_path / "source", sequences=2, frames=8)
    place = tmp_path / "train.yaml"
    place.write_text(yaml.safe_dump(spec_tree(source, tmp_path / "killed")))
    errors = train_and_kill(place, tmp_path / "killed")
    assert "a worker died and was replaced: resuming from step" in errors and "trained:" in errors

    one = {"execution": {"workers": 1}, "optimiser": {"accumulate": 2}}
    plan = prepare(TrainSpec.model_validate(spec_tree(source, tmp_path / "undisturbed", **one)))
    torch.set_num_threads(1)
    Run(plan, Worker(), open_state(plan, "cpu"), lambda record: None).train()
    found, expected = weights(tmp_path / "killed"), weights(tmp_path / "undisturbed")
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5, msg=name)


def train_and_kill(place: Path, output: Path) -> str:
    """SIGKILL to a worker once there is a state; what the command said on stderr in the end."""
    process = subprocess.Popen(
        command("train", place), cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: bool(list(output.glob("state/*.pt"))), process)
    victims = [pid for pid in workers() if process.pid in ancestors(pid)]
    assert victims, "no worker of Ray Train was found"
    os.kill(victims[-1], signal.SIGKILL)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    return str(errors)


def wait_for(there: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + LIMIT_S
    while not there():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.1)


def workers() -> list[int]:
    """Processes of Ray Train's workers, by the name that Ray gives them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::RayTrainWorker"):
            found.append(int(folder.name))
    return found


def ancestors(pid: int) -> list[int]:
    """Of a process: Ray's belong to the command that started Ray here."""
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


def weights(output: Path) -> dict[str, torch.Tensor]:
    """The newest state's parameters; running statistics, which nothing reads, are each worker's own."""
    saved = torch.load(max((output / "state").iterdir()), weights_only=True)
    return {k: v for k, v in saved["networks"].items() if "running" not in k and "num_batches" not in k}


def test_wrong_input_ends_before_ray_starts(flowreel: Flowreel, tmp_path: Path) -> None:
    source = write_paired(tmp_path / "source", sequences=2, frames=4)
    (source / "seq_1/images/000002.png").unlink()
    place = tmp_path / "train.yaml"
    place.write_text(yaml.safe_dump(spec_tree(source, tmp_path / "out")))
    ended = flowreel("train", place, "--set", "data.hold_out=[nobody]")
    assert ended.code == 2 and "nobody" in ended.err and "seq_1" in ended.err, ended.err
    assert len(ended.err.splitlines()) < 12 and "Traceback" not in ended.err


@pytest.mark.slow
def test_workers_that_can_never_be_placed_end_it_at_once(flowreel: Flowreel, tmp_path: Path) -> None:
    source, place = write_paired(tmp_path / "source", sequences=2, frames=8), tmp_path / "train.yaml"
    place.write_text(yaml.safe_dump(spec_tree(source, tmp_path / "out", execution={"workers": 1000})))
    ended = flowreel("train", place)
    assert ended.code == 1
    assert "of 1,000 workers can be placed on this machine: each needs 1 CPU, and there is: 1 node with" in ended.err


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(1300)
def test_ray_that_dies_ends_it_with_the_next_step(tmp_path: Path) -> None:
    source, place = write_paired(tmp_path / "source", sequences=2, frames=8), tmp_path / "train.yaml"
    place.write_text(yaml.safe_dump(spec_tree(source, tmp_path / "out", schedule={"epochs": 3000})))
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    log = tmp_path / "log"
    with log.open("wb") as said:
        training = subprocess.Popen(command("train", place), cwd=REPOSITORY, env=env, stdout=said, stderr=said)
    try:
        while "step " not in log.read_text():
            assert training.poll() is None, log.read_text()
            time.sleep(0.1)
        (raylet,) = (pid for pid in family(training.pid) if "raylet/raylet" in processes.name(pid))
        os.kill(raylet, signal.SIGKILL)
        assert training.wait(LIMIT_S) == 1
    finally:
        training.kill()
        training.wait()
    lines = log.read_text().splitlines()  # Ray may have more to say of its end after that
    assert (
        "flowreel: Ray on this machine died: its node manager (raylet) has ended; run the same command to resume from"
        f" the newest state in {tmp_path / 'out'}"
    ) in lines
