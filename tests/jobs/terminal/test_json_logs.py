"""JSON lines, with the ids of what they are about."""

import json
import subprocess
import sys

from flowreel.jobs.terminal.progress import Display
from flowreel.schemas.outcome import Failed, ShardOutcome

WORKER = """
import logging
from flowreel.jobs.terminal.json_logs import log_as_json
log_as_json({"run": "r1", "worker": "host:1"})
log = logging.getLogger("flowreel.jobs.engine.actor")
log.warning("%s", "bad frame", extra={"shard": "s1", "clip": "c1", "kind": "input"})
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("flowreel.pipeline.dataset.runs.lease").exception("late")
"""


def test_a_workers_lines_carry_run_shard_and_clip() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=True)
    first, second = map(json.loads, done.stderr.splitlines())
    assert first | {"time": ""} == {
        "time": "", "level": "warning", "message": "bad frame", "run": "r1", "worker": "host:1",
        "shard": "s1", "clip": "c1", "kind": "input", "logger": "flowreel.jobs.engine.actor",
    }  # fmt: skip
    assert second["run"] == "r1" and "ZeroDivisionError" in second["traceback"]
    assert first["time"].endswith("Z") and first["time"] <= second["time"]


def test_progress_is_json_where_that_is_wanted(monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("FLOWREEL_LOG", "json")
    display = Display()
    with display.rendering(10) as progress:
        progress.finished(ShardOutcome("s1", None, (Failed("c1", "label id 77 is not in cityscapes", kind="input"),)))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (lines[0]["level"], lines[0]["shard"], lines[0]["clip"], lines[0]["kind"]) == (
        "warning",
        "s1",
        "c1",
        "input",
    )
    assert "0/10 frames" in lines[-1]["message"]
