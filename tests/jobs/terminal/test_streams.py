"""Standard output that nobody reads any more, or that cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
PRINTS = """
import sys
from flowreel.jobs.terminal.exit import run_process
def command():
    for line in range(100_000):
        print("a line that somebody may read", line)
    print("a note", file=sys.stderr)
    raise SystemExit(3)
run_process(lambda: command)
"""
COMMAND = [sys.executable, "-c", PRINTS]


def test_a_reader_that_goes_changes_nothing() -> None:
    process = subprocess.Popen(COMMAND, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"a line that somebody may read 0\n"
    process.stdout.close()
    assert process.stderr.read() == b"a note\n"
    assert process.wait() == 3


def test_a_full_disk_behind_standard_output_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(COMMAND, cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"flowreel: cannot write to standard output: No space left on device; ")


def test_streams_that_are_closed_or_gone_change_nothing() -> None:
    closed = subprocess.run([*COMMAND], cwd=REPOSITORY, preexec_fn=lambda: (os.close(1), os.close(2)), check=False)
    assert closed.returncode == 3
    reading, writing = os.pipe()
    os.close(reading)
    gone = subprocess.run(COMMAND, cwd=REPOSITORY, stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert gone.returncode == 3
