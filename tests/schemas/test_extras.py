"""Errors for what is not installed: one sentence that names the extra, and exit code 2."""

import pickle
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from flowreel.jobs import cli
from flowreel.jobs.engine.cluster import check_extras
from flowreel.pipeline.generator import cpu_features
from flowreel.pipeline.generator.engine import engine_for
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import MissingExtra
from flowreel.schemas.extras import EXTRAS, explain, pip_install, require
from flowreel.schemas.spec import ExecutionSpec

ROOT = Path(__file__).parents[2]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hides modules, as if they were not installed."""

    def hide(*modules: str) -> None:
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)

    return hide


def test_every_extra_that_an_error_names_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(EXTRAS) == set(extras) - {"all", "dev"}
    assert set(re.fullmatch(r"flowreel\[(.+)\]", *extras["all"])[1].split(",")) == set(EXTRAS) - {"torch"}  # type: ignore[index]


def test_the_base_has_nothing_heavy() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {re.match(r"[\w-]+", requirement)[0] for requirement in project["dependencies"]}  # type: ignore[index]
    assert not base & {"ray", "torch", "numba", "scipy", "tensorboard", "safetensors"}


@pytest.mark.parametrize(
    ("extras", "hidden", "told"),
    [
        (["cpu"], ["numba"], 'it needs numba, which is not installed; run: pip install "flowreel[cpu]"'),
        (["render", "cpu"], ["torch"], 'it needs torch, which is not installed; run: pip install "flowreel[render]"'),
        (
            ["render", "cpu"],
            ["ray", "numba"],
            'it needs numba and ray, which are not installed; run: pip install "flowreel[render,cpu]"',
        ),
    ],
)
def test_what_is_missing_is_named(extras: list[str], hidden: list[str], told: str, without: Any) -> None:
    require("it", *extras)
    without(*hidden)
    with pytest.raises(MissingExtra, match=re.escape(told)) as missing:
        require("it", *extras)
    assert missing.value.exit_code == 2 and isinstance(missing.value, ImportError)
    assert str(pickle.loads(pickle.dumps(missing.value))) == told  # from a worker


def test_any_failed_import_of_an_extra_is_explained() -> None:
    assert pip_install("render") in str(explain(ModuleNotFoundError(name="ray.train.torch")))
    assert pip_install("train") in str(explain(ModuleNotFoundError(name="tensorboard")))
    assert explain(ModuleNotFoundError(name="flowreel.nothing")) is None and explain(ModuleNotFoundError()) is None


@pytest.mark.parametrize(("uri", "extra"), [("s3://b/x", "s3"), ("gs://b/x", "gcs"), ("abfs://c@a/x", "azure")])
def test_a_store_names_its_extra(uri: str, extra: str, without: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without(*EXTRAS[extra])
    monkeypatch.delitem(import_module("fsspec.registry")._registry, uri.partition("://")[0], raising=False)
    told = rf"{re.escape(uri)} needs \w+, which is not installed.+flowreel\[{extra}\]"
    with pytest.raises(MissingExtra, match=told):
        open_store(uri)


def test_the_command_line_prints_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def fail(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")

    monkeypatch.setattr(cli, "app", fail)
    assert cli.run() == 2
    told = capsys.readouterr().err
    assert told == f"flowreel: this needs scipy, which is not installed; run: {pip_install('render')}\n"


def test_rendering_on_cpus_needs_numba_and_on_gpus_does_not(without: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without("numba")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    check_extras("rendering", "render", ExecutionSpec(num_gpus=1))
    with pytest.raises(MissingExtra, match=r"flowreel\[cpu\]"):
        check_extras("rendering", "render", ExecutionSpec(num_gpus=0))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # its workers may have what this machine has not
    check_extras("rendering", "render", ExecutionSpec(num_gpus=0))


def test_a_cpu_without_numba_is_an_error_and_never_another_engine(without: Any) -> None:
    class OnCpu:
        class device:
            type = "cpu"

    without("numba")
    with pytest.raises(MissingExtra, match=r"rendering on a CPU needs numba.+flowreel\[cpu\]"):
        engine_for(OnCpu())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n\nprocessor\t: 1\nflags\t: fpu\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f sse\n", False),
        ("", False),
    ],
)
def test_bfloat16_is_found_without_llvm(
    text: str, expected: bool, without: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without("llvmlite")
    monkeypatch.setattr(Path, "read_text", lambda self: text)
    assert cpu_features.multiplies_bfloat16() is expected


def test_llvm_and_linux_agree_on_this_machine(without: Any) -> None:
    with_llvm = cpu_features.multiplies_bfloat16()
    without("llvmlite")
    assert cpu_features.multiplies_bfloat16() == with_llvm
