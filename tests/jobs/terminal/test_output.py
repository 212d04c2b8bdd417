"""Names and records write no terminal, log or page, and show no secret."""

import subprocess
import sys
from pathlib import Path

import pytest

from flowreel.jobs.terminal.json_logs import line
from flowreel.pipeline.report.template import fill
from flowreel.schemas.wording import one_line, printable

HOSTILE = "a\x1b]0;owned\x07\x9b31m\u202egnp.b\r"


def test_control_characters_are_spelled_out_and_text_stays() -> None:
    assert printable(HOSTILE) == "a\\x1b]0;owned\\x07\\x9b31m\\u202egnp.b\\r"
    assert printable("Straße\t名\n👩\u200d🚀") == "Straße\t名\n👩\u200d🚀"
    assert one_line("a\nflowreel: intact") == "a\\nflowreel: intact"


def test_a_command_prints_none_of_them(tmp_path: Path) -> None:
    place = tmp_path / HOSTILE.replace("/", "")
    done = subprocess.run(
        [sys.executable, "-m", "flowreel", "status", str(place)], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 2 and "\\x1b" in said and "\\u202e" in said
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(said)


def test_no_log_line_and_no_page_holds_them() -> None:
    logged = line("info", f"{HOSTILE} s3://b/x?sig=hunter2", {"clip": "AccountKey=hunter2"})
    assert printable(logged) == logged and "hunter2" not in logged
    page = fill({"title": HOSTILE, "heading": HOSTILE, "name": "n", "sections": []}, {"clips": [{HOSTILE: HOSTILE}]})
    assert printable(page) == page and "\\\\u202e" in page and "\\u202egnp" in page


@pytest.mark.parametrize(
    ("command", "secret"),
    [
        (["status", "s3://bucket/x?X-Amz-Signature=hunter2"], "hunter2"),
        (["status", "s3://K:hunter2/x@bucket/x"], "hunter2"),
        (["plan", "{spec}", "--set", "storage_options.secret"], "hunter2"),
        (["plan", "{spec}", "--set", "storage_options=hunter2"], "hunter2"),
        (["plan", "{spec}", "--set", "source=https://acc/x?sig=hunter2"], "hunter2"),
        (["plan", "{spec}", "--set", "clips.frames=https://acc/x?sig=hunter2"], "hunter2"),
        (["plan", "{spec}", "--set", "clips.secret:hunter2"], "hunter2"),
        (["submit", "render", "{spec}", "--address", "http://u:hunter2@127.0.0.1:1"], "hunter2"),
        (
            ["submit", "render", "{spec}", "--set", "source={uri: s3://b/s, storage_options: {secret: hunter2}}"],
            "hunter2",
        ),
    ],
)
def test_no_command_shows_a_secret(command: list[str], secret: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("dataset: {uri: s3://b/d}\nsource: {uri: s3://b/s}\n")
    words = [word.replace("{spec}", str(spec)) for word in command]
    done = subprocess.run([sys.executable, "-m", "flowreel", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and secret not in done.stdout + done.stderr, done.stderr
    assert "Traceback" not in done.stderr
