"""How a command begins and ends as a process, and the one place where its exit code is decided."""

import atexit
import contextlib
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from flowreel.jobs.terminal import signals
from flowreel.jobs.terminal.output import guard_output
from flowreel.jobs.terminal.signals import StopSignal
from flowreel.jobs.terminal.streams import guard_streams
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.exit_codes import Exit, of_signal
from flowreel.schemas.extras import explain

EXIT_S = 20.0  # for exit handlers; Ray's wait for processes that may be gone


def run_process(load: Callable[[], Callable[[], object]]) -> NoReturn:
    """Runs a command in this process and ends it. ``load``: imports the command, and gives it."""
    signals.catch_signals()
    guard_streams()
    guard_output()
    try:
        command = load()
        code = exit_code(command)
    except StopSignal as stop:  # between two lines
        code = stop.code if isinstance(stop.code, int) else Exit.FAILED
        _say(signals.stopped_text(stop.number))
    except BaseException:  # a defect
        traceback.print_exc()
        code = Exit.FAILED
    exit_process(code)


def exit_code(command: Callable[[], object]) -> int:
    """Runs a command and gives its exit code. What is raised on purpose prints its message alone.

    After a signal, whatever comes out of the command is taken for a consequence of it: libraries turn it into errors of
    their own.
    """
    signals.command_begins()
    try:
        code = _code_of(command)
        if sys.stdout:
            sys.stdout.flush()  # what cannot be printed is an error while errors still count
    except FlowreelError as error:
        _say(str(error))
        code = error.exit_code
    except Exception:
        if not signals.received():
            raise
        code = of_signal(signals.received())
        _say(signals.stopped_text(signals.received()))
    signals.command_ended()
    return code


def _code_of(command: Callable[[], object]) -> int:
    """Runs a command. Gives what it ends with by itself; raises all that is an error."""
    try:
        command()
    except ModuleNotFoundError as error:
        if missing := explain(error):
            raise missing from None
        raise
    except StopSignal as stop:
        with signals.if_stopped(signals.AGAIN):
            raise stop
    except SystemExit as end:  # typer's way to end, whatever the code
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return Exit.DONE


def _say(text: str) -> None:
    print(f"flowreel: {text}", file=sys.stderr, flush=True)


def exit_process(code: int) -> NoReturn:
    """Ends the process with ``code``: exit handlers run and what is printed gets out, but Python is not torn down.

    Tearing it down kills threads of pyarrow that are about to let go of a Python object, and with them the process:
    "terminate called without an active exception", exit code -6, after all work is done
    (https://github.com/apache/arrow/issues/34314; seen in 22 of 60 exits right after `read_table` of bytes).
    """
    signals.command_ended()
    threading.Thread(target=_limit_exit, args=(code,), daemon=True).start()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # Ray disconnects here
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError, FlowreelError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


def _limit_exit(code: int) -> None:
    """Ends the process if its exit handlers do not."""
    time.sleep(EXIT_S)
    os._exit(code)
