"""Jobs on a cluster of several nodes, as operators send them: live log, exit codes, a node that is lost on the way."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, command, plain_path, write_spec
from tests.support.label_source import MakeSource

from .local_cluster import Start

SECRET = "hunter2-of-this-test"
LIMIT_S = 800


class Job:
    """`flowreel submit` at work; what it prints is read as it comes."""

    def __init__(self, *args: object) -> None:
        self.process = subprocess.Popen(
            command("submit", *args),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=REPOSITORY,
            env=os.environ | {"FLOWREEL_TEST_SECRET": SECRET},
        )  # fmt: skip
        self.text = ""
        threading.Timer(LIMIT_S, self.process.kill).start()

    def read_until(self, wanted: str) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.text += line
            if wanted in line:
                return
        pytest.fail(f"'{wanted}' was not said:\n{self.text}")

    def end(self) -> int:
        assert self.process.stdout
        self.text += self.process.stdout.read()
        return self.process.wait()


@plain_path
@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_jobs_on_a_cluster_that_loses_a_node(
    local_cluster: Start, make_source: MakeSource, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    source = make_source(tmp_path / "source", sequences=12, frames=30)
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(tmp_path / "dataset")},
        source={"uri": str(source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint)},
        execution={"workers": [1, 2]},
    )
    with local_cluster("--nodes", 2, env={"PYTHONPATH": str(REPOSITORY)}) as cluster:
        to = ("--address", cluster.places["dashboard"])
        job = Job("render", spec, *to, "--env", "FLOWREEL_TEST_SECRET")
        job.read_until("2/2 workers ready")  # the log is live
        cluster.say("kill")
        cluster.hear()
        cluster.say("add")
        cluster.hear()
        assert job.end() == 0, job.text
        assert "published version 1" in job.text

        again = Job("refresh", spec, *to, "--code", "image")
        assert again.end() == 0 and "nothing changed: version 1" in again.text, again.text
        wrong = Job("render", spec, *to, "--code", "image", "--set", "source.uri=/nowhere")
        assert wrong.end() == 2 and "/nowhere" in wrong.text, wrong.text
        files = [p for place in cluster.places["logs"] for p in Path(place).rglob("*") if p.is_file()]
        assert files and SECRET not in "".join(p.read_text(errors="replace") for p in files)
    subprocess.run(command("verify", tmp_path / "dataset"), cwd=REPOSITORY, check=True)
    (summary,) = (tmp_path / "dataset/runs/summaries").iterdir()
    assert '"frames": 360' in summary.read_text()
