"""`python -m jobs COMMAND`: for a checkout; the same as `flowreel COMMAND` and `python -m flowreel COMMAND`."""

from collections.abc import Callable
from typing import NoReturn

from flowreel.jobs.terminal.exit import run_process


def main() -> NoReturn:
    """Runs a command and ends the process with its exit code. Signals are caught before the commands are imported."""
    run_process(_load)


def main_of_module() -> NoReturn:
    """Runs a command for `python -m`, as a job's entrypoint does: with the variables that `submit --env` has sent."""
    run_process(_load_with_environment)


def _load() -> Callable[[], object]:
    from flowreel.jobs.cli import run_command

    return run_command


def _load_with_environment() -> Callable[[], object]:
    from flowreel.jobs.submission import environment

    environment.load()
    return _load()


if __name__ == "__main__":
    main_of_module()
