"""Flowreel from a built wheel, outside the clone, beside a user's own `pipeline.py`, `jobs/` and `schemas.py`."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import REPOSITORY, plain_path, write_spec

BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "flowreel", "jobs", "pipeline", "schemas")
TRAIN = """
import sys

import flowreel
import jobs, pipeline, schemas  # this folder's own
import torch.utils.data


def check_import(_: int) -> None:
    assert pipeline.MINE and jobs.MINE and schemas.MINE


if __name__ == "__main__":
    samples = flowreel.Samples(flowreel.open_dataset(sys.argv[1]), frames=2)
    for data in (flowreel.ClipDataset(samples), flowreel.ClipStream(samples)):
        loader = torch.utils.data.DataLoader(
            data, batch_size=2, num_workers=2, multiprocessing_context="spawn", worker_init_fn=check_import
        )
        batches = list(loader)
        print(sum(len(batch["image"]) for batch in batches), tuple(batches[0]["label"].shape))
"""
TYPED = """
import flowreel

data: flowreel.Dataset = flowreel.open_dataset("folder", where={"split": "train"})
shape: str = data.clip(0).image_THW3
summary = flowreel.plan(flowreel.load_spec("spec.yaml"), price=2.5)
reveal_type(summary.clips_to_render)
reveal_type(flowreel.render)
reveal_type(flowreel.ClipStream)
flowreel.no_such_name
"""


@dataclass(frozen=True)
class Project:
    """A user's folder, and a virtual environment with an installed Flowreel."""

    folder: Path
    python: Path

    def run(self, *words: object, code: int = 0, **env: str) -> str:
        """What a command of this environment prints; its environment knows nothing of the clone."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "RAY_ADDRESS"}
        path = f"{self.python.parent}:{clean['PATH']}"
        command = [str(self.python.parent / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=clean | {"PATH": path} | env, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel is built from, without what earlier builds left; the folder's links are kept."""
    tree = tmp_path_factory.mktemp("tree")
    for name in BUILT_FROM:
        place = REPOSITORY / name
        if place.is_dir():
            shutil.copytree(place, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, tree / name)
    return tree


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built("bdist_wheel", tree, tmp_path_factory.mktemp("wheel"))


def _built(kind: str, tree: Path, out: Path) -> Path:
    """A wheel or sdist, by the build backend alone: nothing is downloaded."""
    hook = {"bdist_wheel": "build_wheel", "sdist": "build_sdist"}[kind]
    code = f"import sys; from setuptools import build_meta as b; b.{hook}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, out], cwd=tree, check=True, capture_output=True)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The wheel in a new environment; libraries are those of this one, without the clone's own Flowreel."""
    root = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], check=True)
    python = root / "venv/bin/python"
    site = root / "venv/lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(list(map(str, install)), check=True)
    # A .pth file of a folder that a .pth file names is not read: the clone's editable Flowreel stays out.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = root / "project"
    (folder / "jobs").mkdir(parents=True)
    (folder / "pipeline").mkdir()
    for place in ("pipeline/__init__.py", "jobs/__init__.py", "schemas.py"):
        (folder / place).write_text("MINE = True\n")
    (folder / "train.py").write_text(TRAIN)
    return Project(folder, python)


@pytest.fixture(scope="module")
def spec(project: Project, make_source: Callable[..., Path], tiny_checkpoint: Path) -> Path:
    source = make_source(project.folder / "source", sequences=4, frames=4)
    return write_spec(
        project.folder / "spec.yaml",
        dataset={"uri": str(project.folder / "dataset")},
        source={"uri": str(source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint)},
        clips={"frames": 4},
        execution={"workers": [2, 2]},
    )


@pytest.mark.slow
def test_only_one_name_is_installed(wheel: Path, tree: Path, tmp_path: Path) -> None:
    """By the wheel, and by the sdist, which also holds all that a wheel is built from."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"flowreel"}
    assert {"flowreel/py.typed", "flowreel/pipeline/bundled/model.safetensors"} <= set(names)
    with tarfile.open(_built("sdist", tree, tmp_path / "sdist")) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
        sdist.extractall(tmp_path, filter="data")
    assert {name for name in names if name.startswith("flowreel/")} <= inside
    (unpacked,) = tmp_path.glob("flowreel-*")
    again = _built("bdist_wheel", unpacked, tmp_path / "again")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(names)


@plain_path
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_lives_beside_the_users_own_modules(project: Project, spec: Path) -> None:
    place = project.run("python", "-c", "import flowreel, pipeline; print(flowreel.__file__, pipeline.MINE)")
    assert place.split() == [
        str(next(project.python.parents[1].glob("lib/*/site-packages/flowreel/__init__.py"))),
        "True",
    ]
    version = project.run("python", "-m", "flowreel", "--version")
    assert version == project.run("flowreel", "--version") and version.startswith("flowreel ")
    told = project.run("flowreel", "render", spec, PYTHONPATH=str(project.folder))
    assert "published version 1" in told and "4 clips, 16 frames" in told
    assert project.run("python", "train.py", project.folder / "dataset").splitlines() == ["8 (2, 2, 32, 64)"] * 2
    code = (
        "import flowreel, pipeline; spec = flowreel.load_spec('spec.yaml');"
        " summary, version = flowreel.plan(spec), flowreel.render(spec, progress=False);"
        " print(summary.clips_reused, version.number)"
    )
    assert project.run("python", "-c", code).split() == ["4", "1"]


@plain_path
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_sends_jobs_to_a_cluster(project: Project, spec: Path) -> None:
    """Whose nodes have a Flowreel of their own, and a folder with modules of those names on their path."""
    script = REPOSITORY / "infra/local_cluster.py"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RAY_"))}
    env = clean | {"PYTHONPATH": str(project.folder), "RAY_worker_niceness": "0", "RAY_raylet_start_wait_time_s": "120"}
    options = ("--dashboard-port", "0", "--nodes", "1", "--cpus", "2")
    cluster = subprocess.Popen(
        [project.python, script, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=env, cwd=project.folder,
    )  # fmt: skip
    assert cluster.stdin and cluster.stdout
    try:
        address: Any = json.loads(cluster.stdout.readline())["dashboard"]
        sets = ("--set", "dataset.uri=" + str(project.folder / "sent"))
        assert "published version 1" in project.run("flowreel", "submit", "render", spec, "--address", address, *sets)
        again = project.run("flowreel", "submit", "refresh", spec, "--address", address, "--code", "image", *sets)
        assert "version 1" in again and "published" not in again
    finally:
        cluster.stdin.write("quit\n")
        cluster.stdin.flush()
        cluster.wait(timeout=60)


@pytest.mark.slow
def test_a_users_type_checker_sees_the_types(project: Project) -> None:
    (project.folder / "typed.py").write_text(TYPED)
    told = project.run("python", "-m", "mypy", "--cache-dir", project.folder / "cache", "typed.py", code=1)
    assert 'variable has type "str")' in told and 'has no attribute "no_such_name"' in told
    revealed = [line.rpartition("note: ")[2] for line in told.splitlines() if "Revealed" in line]
    assert revealed[0].removeprefix("Revealed type is ").strip('"').removeprefix("builtins.") == "int"
    assert "flowreel.schemas.spec.Spec" in revealed[1] and "flowreel.pipeline.dataset.versions.Version" in revealed[1]
    assert "flowreel.pipeline.reader.torch_stream.ClipStream" in revealed[2]
    assert told.count("error:") == 2, told
