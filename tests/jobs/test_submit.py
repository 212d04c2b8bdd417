"""What `submit` refuses before anything is sent, and what it packs."""

import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowreel.jobs import submit
from flowreel.jobs.submission import environment, package
from flowreel.jobs.submit import Arguments, Job
from flowreel.schemas.errors import UsageError

SPEC: dict[str, Any] = {"dataset": {"uri": "s3://b/d"}, "source": {"uri": "s3://b/s"}}


def written(tmp_path: Path, **groups: Any) -> str:
    place = tmp_path / "spec.yaml"
    place.write_text(yaml.safe_dump(SPEC | groups))
    return str(place)


@pytest.mark.parametrize(
    ("groups", "overrides", "told"),
    [
        ({"dataset": {"uri": "out/city"}}, [], "dataset.uri 'out/city' is relative"),
        ({}, ["generator.checkpoint=my/model"], "generator.checkpoint 'my/model' is relative"),
        ({"storage_options": {"client_kwargs": {"aws_secret_access_key": "hunter2"}}}, [], "aws_secret_access_key"),
        ({"quality": {"segmenter": "my/net.onnx"}}, [], "quality.segmenter 'my/net.onnx' is relative"),
        (
            {"source": {"uri": "s3://b/s", "storage_options": {"secret": "hunter2"}}},
            [],
            "source.storage_options.secret",
        ),
        ({"dataset": {"uri": "s3://b/d", "storage_options": {"x": {"token": "hunter2"}}}}, [], "x.token|dataset"),
        ({"generator": {"storage_options": {"key": "hunter2"}}}, [], "generator.storage_options.key"),
        ({"storage_options": {"s3_additional_kwargs": {"SSECustomerKey": "hunter2"}}}, [], "SSECustomerKey"),
        ({}, ["storage_options.secret=hunter2"], "use --env NAME"),
        ({}, ["source.storage_options.secret=hunter2"], "use --env NAME"),
        ({"clips": {"frame": 3}}, [], "did you mean 'frames'"),
    ],
)
def test_what_must_not_travel_is_refused(
    groups: dict[str, Any], overrides: list[str], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        package.check_travels("render", written(tmp_path, **groups), overrides, local=True)
    assert "hunter2" not in str(refused.value)


def test_a_spec_of_urls_travels_as_it_is(tmp_path: Path) -> None:
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:eu-west-1:1:key/7"}
    own = {"endpoint_url": "http://127.0.0.1:9000", "s3_additional_kwargs": kms}
    source = {"uri": "gs://bucket/source", "storage_options": {"token": "anon"}}
    place = written(tmp_path, storage_options=own, source=source)
    assert package.check_travels("render", place, ["clips.frames=3"], local=True) == Path(place).read_text()


def test_packed_code_runs_without_an_installed_flowreel(tmp_path: Path) -> None:
    package.pack(tmp_path, "a: 1", code=True)
    environment.write(tmp_path, {"FLOWREEL_TOLD": "yes"})
    code = (
        "import os, flowreel, importlib.metadata as m; from flowreel.jobs.submission import environment;"
        " environment.load(); print(flowreel.__file__, m.version('flowreel'), os.environ['FLOWREEL_TOLD'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == [str(tmp_path / "flowreel/__init__.py"), metadata.version("flowreel"), "yes"]
    assert (tmp_path / package.SPEC_NAME).read_text() == "a: 1"
    assert (tmp_path / "flowreel/pipeline/bundled/model.safetensors").is_file() and not list(
        tmp_path.rglob("__pycache__/*.pyc")
    )


@pytest.mark.parametrize(("name", "told"), [("KEY=hunter2", "give the name alone"), ("NOT_THERE", "export it first")])
def test_variables_are_named_and_taken_from_the_environment(name: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        submit.send(None, Arguments(Job.RENDER, written(tmp_path), env=[name]))  # type: ignore[arg-type]
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("words", [[], ["render"], ["render", "s.yaml", "--follow", "j"]])
def test_either_a_command_or_a_job_to_follow(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flowreel", "submit", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "either a command and its SPEC, or --follow JOB" in done.stderr


def test_nobody_at_the_address_is_said() -> None:
    command = [sys.executable, "-m", "flowreel", "submit", "--follow", "j", "--address", "http://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no Ray dashboard takes jobs there" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_user_allows_goes_along() -> None:
    sent = Arguments(Job.RENDER, "here.yaml", set_=["clips.frames=3"], allow_code=True)
    assert submit.entrypoint(sent) == "python -m flowreel render spec.yaml --set clips.frames=3 --allow-code"
    assert "--allow-code" not in submit.entrypoint(Arguments(Job.REFRESH, "s3://b/spec.yaml"))


@pytest.mark.parametrize(
    "address",
    ["http://KEY:hunter2@h:1", "http://hunter2@h:1", "KEY:hunter2@h:1", "http://KEY:hunter2/x@h:1", "h?hunter2"],
)
def test_an_address_with_credentials_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(UsageError, match="RAY_AUTH_TOKEN") as refused:
        submit.connect(address)
    assert "hunter2" not in str(refused.value) and "KEY" not in str(refused.value)


def test_a_dashboard_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "CONNECT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"--address {address}: no answer within 0.1 s"):
            submit.connect(address)
