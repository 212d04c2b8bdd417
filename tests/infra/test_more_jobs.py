"""Jobs that are sent and left alone, training as a job, and `ray job submit` with everything in a bucket."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml

from tests.e2e.conftest import REPOSITORY, command, plain_path, write_spec
from tests.e2e.test_train import spec_tree
from tests.pipeline.training.paired import write_paired

LIMIT_S = 600
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1000), plain_path]


def ended(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=REPOSITORY, timeout=LIMIT_S)


def test_training_is_sent_left_alone_and_watched_later(local_cluster: Any, tmp_path: Path) -> None:
    source, run = write_paired(tmp_path / "source", sequences=2, frames=8), tmp_path / "run"
    short = {"schedule": {"epochs": 2, "clip_frames": 4}, "execution": {"workers": 1}}
    place = tmp_path / "train.yaml"
    place.write_text(yaml.safe_dump(spec_tree(source, run, **short)))
    with local_cluster("--nodes", 1) as cluster:
        to = ("--address", cluster.places["dashboard"])
        sent = ended(*command("submit", "train", place, *to, "--detach"))
        assert sent.returncode == 0, sent.stderr
        job = sent.stdout.strip()
        watched = ended(*command("submit", "--follow", job, *to))
        assert watched.returncode == 0, watched.stdout + watched.stderr
        assert "trained:" in watched.stdout + watched.stderr
        assert (run / "model.safetensors").is_file()

        nobody = ended(*command("submit", "--follow", "raysubmit_nobody", *to))
        assert nobody.returncode == 2 and "raysubmit_nobody" in nobody.stderr


def test_ray_job_submit_takes_a_spec_in_a_bucket(
    local_cluster: Any, make_source: Any, tiny_checkpoint: Path, tmp_path: Path, s3_env: dict[str, Any]
) -> None:
    """The plain entrypoint: `ray job submit -- python -m flowreel render s3://.../spec.yaml`."""
    make_source(tmp_path / "source", sequences=2, frames=4)
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": "s3://plain-job/dataset"},
        source={"uri": "s3://plain-job/source", "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint)},
    )
    bucket = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    bucket.mkdir("plain-job")
    bucket.put(f"{tmp_path}/source/", "plain-job/source/", recursive=True)
    bucket.put_file(str(spec), "plain-job/spec.yaml")
    with local_cluster("--nodes", 1, env=dict(s3_env["env"]) | {"PYTHONPATH": str(REPOSITORY)}) as cluster:
        tool = Path(sys.executable).with_name("ray")
        entrypoint = ("python", "-m", "flowreel", "render", "s3://plain-job/spec.yaml")
        done = ended(tool, "job", "submit", "--address", cluster.places["dashboard"], "--", *entrypoint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "published version 1 of s3://plain-job/dataset" in done.stdout, done.stdout
    verified = subprocess.run(
        command("verify", "s3://plain-job/dataset"), env=os.environ | s3_env["env"], cwd=REPOSITORY, check=False
    )
    assert verified.returncode == 0
