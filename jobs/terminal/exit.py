"""Ends the process of a command."""

import atexit
import contextlib
import logging
import os
import sys
from typing import NoReturn


def exit_process(code: int) -> NoReturn:
    """Ends the process with ``code``: exit handlers run and what is printed gets out, but Python is not torn down.

    Tearing it down kills threads of pyarrow that are about to let go of a Python object, and with them the process:
    "terminate called without an active exception", exit code -6, after all work is done
    (https://github.com/apache/arrow/issues/34314; seen in 22 of 60 exits right after `read_table` of bytes).
    """
    atexit._run_exitfuncs()  # Ray disconnects here
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
