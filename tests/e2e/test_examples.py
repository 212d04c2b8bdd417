"""The example specs of poses, faces and procedural scenes do what they say."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.loading import save_checkpoint
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.reader.dataset import ClipData, open_dataset
from flowreel.pipeline.storage import open_store
from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.initial_state import open_state
from flowreel.pipeline.training.plan import prepare as prepare_training
from flowreel.pipeline.training.run import Run
from flowreel.schemas.parse import parse, parse_spec
from flowreel.schemas.spec import Spec
from flowreel.schemas.training import TrainSpec
from tests.support.local_run import LocalRun

from .conftest import REPOSITORY, command

SAMPLES = {"pose": "pose-sample", "face": "face-sample"}


class Example(LocalRun):
    """A spec of configs/, with ``groups`` as overrides."""

    def spec(self, **groups: Any) -> Spec:
        changes = [f"dataset.uri={self.dataset}", f"generator.checkpoint={self.checkpoint}", "execution.num_gpus=0"]
        place = REPOSITORY / "configs" / f"{groups.pop('name')}.yaml"
        return parse_spec(place.read_text(), [*changes, *groups.pop("changes", ())], str(place))


def clips_of(run: LocalRun, **groups: Any) -> list[ClipData]:
    version = run.publish(run.prepare(**groups))
    assert not verify(version).problems
    return list(open_dataset(str(run.dataset)).clips())


def tiny(folder: Path, space: str, channels: int) -> Path:
    networks: dict[str, Any] = {"ngf": 4, "n_downsample": 2, "n_blocks": 1}
    networks |= {"label_nc": 0, "use_instance": False, "fg_labels": ()}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = GeneratorConfig(label_space=space, input_nc=channels, **networks)
        save_checkpoint(open_store(str(folder)), VideoGenerator(config))
    return folder


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "space", "channels", "points"), [("pose", "densepose", 6, 17), ("face", "face-parts", 15, 68)]
)
def test_real_poses_and_faces(
    name: str, space: str, channels: int, points: int, tmp_path: Path, shared_data: Path, one_thread: None
) -> None:
    run = Example(tmp_path, tiny(tmp_path / "checkpoint", space, channels))
    (clip,) = clips_of(run, name=name, changes=[f"source.uri={shared_data / SAMPLES[name]}"])
    assert len(clip.image_THW3) == 5 and clip.keypoints is not None and len(set(clip.label_THW.ravel().tolist())) > 4
    for people in clip.keypoints:
        assert len(people[0]["points"]) == 3 * points and sum(v == 2 for v in people[0]["points"][2::3]) > 0.8 * points


def test_procedural_streets(tmp_path: Path, tiny_checkpoint: Path, one_thread: None) -> None:
    few = [f"source.procedural.{change}" for change in ("sequences=1", "frames=3")]
    (clip,) = clips_of(Example(tmp_path, tiny_checkpoint), name="procedural", changes=[*few, "generator.size=[64, 32]"])
    assert clip.depth_THW is not None and clip.flow_THW2 is not None and clip.instance_THW is not None


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", ["pose", "face"])
def test_a_generator_is_trained_and_renders(name: str, tmp_path: Path, shared_data: Path, one_thread: None) -> None:
    place = REPOSITORY / "configs/train" / f"{name}-tiny.yaml"
    changes = [f"output={tmp_path / 'run'}", f"source.uri={shared_data / SAMPLES[name]}"]
    plan = prepare_training(parse(TrainSpec, place.read_text(), changes, str(place)))
    Run(plan, Worker(), open_state(plan, "cpu"), lambda record: None).train()
    assert plan.total_steps == 8 and list((tmp_path / "run/samples").glob("*.png"))
    run = Example(tmp_path, tmp_path / "run")
    (clip,) = clips_of(run, name=name, changes=[f"source.uri={shared_data / SAMPLES[name]}"])
    assert clip.image_THW3.std() > 1


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(1800)
def test_the_command_line_trains_renders_and_exports(tmp_path: Path, shared_data: Path) -> None:
    source = ("--set", f"source.uri={shared_data / SAMPLES['pose']}")
    run("train", "configs/train/pose-tiny.yaml", "--set", f"output={tmp_path / 'run'}", *source)
    changes = [f"dataset.uri={tmp_path / 'data'}", f"generator.checkpoint={tmp_path / 'run'}", "execution.num_gpus=0"]
    run("render", "configs/pose.yaml", *source, *(part for change in changes for part in ("--set", change)))
    run("export", tmp_path / "data", "--format", "coco-panoptic", tmp_path / "coco")
    assert list((tmp_path / "coco/annotations").glob("person_keypoints_*.json"))


def run(*args: object) -> None:
    """A command, however long Ray takes to start on a busy machine."""
    done = subprocess.run(command(*args), cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
