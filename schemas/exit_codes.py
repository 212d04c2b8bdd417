"""The exit codes of all commands: the one table, which `flowreel --help` and README.md repeat; schedulers use it."""

import signal
from enum import IntEnum


class Exit(IntEnum):
    """How a command ended. Those that a signal stopped exit with 128 + its number, as shells have it."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WITH_FAILURES = 3
    OVER_BUDGET = 4
    HUNG_UP = 128 + 1
    INTERRUPTED = 128 + 2
    STOPPED = 128 + 15


MEANING = {
    Exit.DONE: "done",
    Exit.FAILED: "failed, perhaps only for now: the message says what to do, mostly to run the same command again",
    Exit.USAGE: "wrong usage, spec or input; nothing was rendered",
    Exit.WITH_FAILURES: "published, but some clips failed, no more than `failure.max_failed_fraction` allows",
    Exit.OVER_BUDGET: "not published: more clips failed than `failure.max_failed_fraction` allows, or more would be"
    " dropped than `failure.max_dropped_fraction` allows",
    Exit.HUNG_UP: "stopped because the terminal was closed (SIGHUP)",
    Exit.INTERRUPTED: "interrupted (Ctrl-C, SIGINT)",
    Exit.STOPPED: "stopped by SIGTERM; after any of these three, the same command resumes",
}


def of_signal(number: int) -> int:
    """Gives the exit code of a command that a signal stopped."""
    return 128 + number


def signal_name(number: int) -> str:
    """Gives the name of a signal, such as SIGTERM."""
    return signal.Signals(number).name
