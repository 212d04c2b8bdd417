"""Signals from the first instant of a command to its last: a sentence, and 128 + the number, in real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
HEAD = """
import atexit, os, sys, threading, time
from flowreel.jobs.terminal import signals
from flowreel.jobs.terminal.exit import run_process

def say(word):
    os.write(1, word.encode() + b"\\n")  # at once: a signal may follow as soon as it is read

def wait():
    threading.Event().wait()

"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process with this code, and waits for its first line."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str, first: str, ignored: int = 0) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD + code], cwd=REPOSITORY, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=(lambda: signal.signal(ignored, signal.SIG_IGN)) if ignored else None,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == f"{first}\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, err = process.communicate()
    return process.returncode, err


WAITS = """
def command():
    try:
        say("begun")
        wait()
    finally:
        print("let go", file=sys.stderr, flush=True)
run_process(lambda: command)
"""


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (signal.SIGTERM, 143, "flowreel: stopped by SIGTERM: run the same command again\n"),
        (signal.SIGINT, 130, "flowreel: interrupted: run the same command again\n"),
        (signal.SIGHUP, 129, "flowreel: stopped by SIGHUP: run the same command again\n"),
    ],
)
def test_a_signal_ends_a_command_with_a_sentence(start: Start, number: int, code: int, says: str) -> None:
    process = start(WAITS, "begun")
    process.send_signal(number)
    assert ended(process) == (code, "let go\n" + says)


def test_a_signal_while_the_command_is_imported_ends_it_at_once(start: Start) -> None:
    process = start("def load():\n    say('importing')\n    wait()\nrun_process(load)", "importing")
    process.terminate()
    assert ended(process) == (143, "flowreel: stopped by SIGTERM: nothing was begun\n")


def test_a_signal_while_exit_handlers_run_changes_nothing(start: Start, tmp_path: Path) -> None:
    code = """
def leave():
    say("leaving")
    while not os.path.exists(GO):
        time.sleep(0.01)
atexit.register(leave)
def command():
    raise SystemExit(3)
run_process(lambda: command)
"""
    go = tmp_path / "go"
    process = start(f"GO = {str(go)!r}\n{code}", "leaving")
    process.terminate()
    go.touch()
    assert ended(process) == (3, "")


def test_what_a_library_makes_of_a_signal_counts_as_stopped(start: Start) -> None:
    code = """
def command():
    try:
        say("begun")
        wait()
    except BaseException:
        raise ImportError("the module did not load")
run_process(lambda: command)
"""
    process = start(code, "begun")
    process.terminate()
    assert ended(process) == (143, "flowreel: stopped by SIGTERM: run the same command again\n")


SWALLOWS = """
signals.ONCE_S, signals.CLEAN_UP_S = {once}, {limit}
def command():
    word = "begun"
    while True:
        try:
            say(word)
            wait()
        except BaseException:
            word = "cleaning up"
run_process(lambda: command)
"""


def test_a_clean_up_that_does_not_end_is_not_waited_for(start: Start) -> None:
    process = start(SWALLOWS.format(once=0, limit=0.05), "begun")
    process.terminate()
    assert ended(process) == (
        143,
        "flowreel: stopped by SIGTERM: not waiting longer for the clean-up; run the same command again\n",
    )


def test_a_second_signal_does_not_wait_for_the_clean_up(start: Start) -> None:
    process = start(SWALLOWS.format(once=0, limit=600), "begun")
    process.terminate()
    assert process.stdout is not None and process.stdout.readline() == "cleaning up\n"
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    assert code == 143 and "not waiting for the clean-up, as SIGINT came again; run the same command again" in said


def test_a_signal_that_comes_twice_at_once_counts_once(start: Start) -> None:
    """As `timeout` sends it: to the process, and again to its group."""
    code = """
signals.ONCE_S = 600
def command():
    try:
        say("begun")
        wait()
    finally:
        say("cleaning up")
        while not os.path.exists(GO):
            time.sleep(0.01)
run_process(lambda: command)
"""
    go = Path(f"/proc/{os.getpid()}")  # there: the clean-up ends by itself
    process = start(f"GO = {str(go)!r}\n{code}", "begun")
    process.terminate()
    process.terminate()
    assert ended(process) == (143, "flowreel: stopped by SIGTERM: run the same command again\n")


def test_a_signal_that_is_ignored_from_the_start_stays_ignored(start: Start) -> None:
    """As `nohup` wants it."""
    process = start(WAITS, "begun", ignored=signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    process.terminate()
    assert ended(process)[0] == 143
