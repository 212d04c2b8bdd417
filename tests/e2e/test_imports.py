"""What commands import decides how soon they answer: PyTorch and Ray take seconds, pyarrow most of one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import flowreel
from flowreel.schemas import errors
from tests.support.local_run import LocalRun

from .conftest import LIMIT_S, REPOSITORY, write_spec

CODE = """
import sys
from flowreel.jobs.cli import run
from flowreel.jobs.terminal.exit import exit_process
code = run()
print("\\nimported:", *sorted({"ray", "torch", "numba", "scipy", "pyarrow", "numpy"} & set(sys.modules)))
exit_process(code)
"""
BASE_ONLY = """
import sys
for name in ("ray", "torch", "numba", "llvmlite", "scipy", "tensorboard", "safetensors", "skimage", "aiohttp"):
    sys.modules[name] = None  # as if it were not installed
"""
COMMANDS = (
    *("plan", "render", "refresh", "gc", "status", "verify", "diff", "train", "schema", "demo", "submit", "report"),
    *("export", "import-checkpoint", "evaluate", "segmenter", "worth", "presets"),
)


def imported(*arguments: object) -> set[str]:
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    return set(_run(*command).stdout.rpartition("imported:")[2].split())


def _run(*command: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
    ended = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=LIMIT_S, cwd=REPOSITORY, check=False
    )
    assert ended.returncode == code, ended.stderr
    return ended


HEAVY = ("render", "verify", "train", "import-checkpoint", "submit", "evaluate", "segmenter", "worth")


@pytest.mark.parametrize("command", [(), *((name,) for name in HEAVY)])
def test_help_needs_none_of_them(command: tuple[str, ...]) -> None:
    assert imported(*command, "--help") == set()


def test_looking_needs_neither_ray_nor_pytorch(local_run: LocalRun) -> None:
    local_run.publish(local_run.prepare())
    dataset = local_run.dataset
    for command in (("status", dataset), ("diff", dataset, 1, 1), ("verify", dataset)):
        assert imported(*command) & {"ray", "torch", "numba"} == set(), command


def test_planning_needs_neither_ray_nor_pytorch(local_run: LocalRun, tiny_checkpoint: Path, tmp_path: Path) -> None:
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(local_run.dataset)},
        source={"uri": str(local_run.source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint), "batch": 2},
    )
    assert imported("plan", spec) & {"ray", "torch", "numba", "scipy"} == set()


def test_flowreel_itself_needs_nothing() -> None:
    heavy = '{"ray", "torch", "numba", "llvmlite", "scipy", "pyarrow", "numpy", "pydantic", "typer", "rich", "cv2"}'
    code = f"import sys, flowreel; dir(flowreel), flowreel.UsageError; print(*({heavy} & set(sys.modules)))"
    assert _run(sys.executable, "-c", code).stdout.split() == []
    code = f"import sys, flowreel; flowreel.open_dataset, flowreel.load_spec; print(*({heavy} & set(sys.modules)))"
    assert not {"ray", "torch", "numba", "scipy"} & set(_run(sys.executable, "-c", code).stdout.split())


def test_a_folder_of_the_same_name_is_no_obstacle(tmp_path: Path) -> None:
    """Such as the clone itself, seen from the folder that it lies in."""
    (tmp_path / "flowreel").mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import flowreel; flowreel.open_dataset"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True, timeout=LIMIT_S)


def test_flowreel_gives_what_it_lists() -> None:
    assert set(flowreel.__all__) <= set(dir(flowreel))
    for name in flowreel.__all__:
        assert getattr(flowreel, name).__doc__, name
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.FlowreelError):
            assert getattr(flowreel, name) is error, f"{name} is not in flowreel.__all__"
    with pytest.raises(AttributeError, match="no attribute 'datasets'"):
        _ = flowreel.datasets  # type: ignore[attr-defined]


def test_the_base_reads_plans_and_exports(local_run: LocalRun, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """With what `pip install flowreel` brings; all else says which extra it takes."""
    local_run.publish(local_run.prepare())
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(local_run.dataset)},
        source={"uri": str(local_run.source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint), "batch": 2},
    )
    code = f"""{BASE_ONLY}
import flowreel, json
from flowreel.jobs.cli import run

def code_of(*arguments):
    sys.argv[1:] = arguments
    return run()

dataset, spec, out = {str(local_run.dataset)!r}, {str(spec)!r}, {str(tmp_path)!r} + "/"
fine = [("status", dataset), ("verify", dataset), ("diff", dataset, "1", "1"), ("gc", dataset, "--dry-run")]
fine += [("report", dataset, "--out", out + "page.html"), ("plan", spec), ("--version",)]
fine += [(name, "--help") for name in {COMMANDS}]
for name in ("cityscapes", "coco-panoptic", "webdataset", "video"):
    fine.append(("export", dataset, out + name, "--format", name))
lacking = [("render", spec), ("refresh", spec), ("demo", out + "demo"), ("submit", "render", spec)]
lacking += [("import-checkpoint", dataset, out + "new"), ("verify", dataset, "--rerender", "1")]
told = dict(
    clips=len([clip for clip in flowreel.open_dataset(dataset).clips() if clip.image_THW3.any()]),
    sequences=flowreel.plan(flowreel.load_spec(spec), progress=False).sequences,
    not_fine=[words for words in fine if code_of(*words) != 0],
    not_lacking=[words for words in lacking if code_of(*words) != 2],
)
for name in ("ClipDataset", "ClipStream", "Samples"):
    try:
        getattr(flowreel, name)
    except ImportError as error:
        print(f"flowreel: {{error}}", file=sys.stderr)
print(json.dumps(told))
"""
    ended = _run(sys.executable, "-c", code)
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told.pop("clips") > 0 and told.pop("sequences") > 0
    assert told == {"not_fine": [], "not_lacking": []}
    asked_for = re.findall(r'^flowreel: .+; run: pip install "flowreel\[(.+)\]"$', ended.stderr, re.MULTILINE)
    assert asked_for == ["render,cpu"] * 3 + ["cluster", "render", "render"] + ["torch"] * 3, ended.stderr
    assert "Traceback" not in ended.stderr
