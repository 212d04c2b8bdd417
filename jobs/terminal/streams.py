"""Standard output and error of a command, of which anybody may stop reading: `flowreel plan SPEC | head`."""

import contextlib
import io
import os
import sys
from typing import IO, Any

from flowreel.schemas.errors import FlowreelError


class OutputError(FlowreelError):
    """Raised when standard output cannot be written, as on a full disk."""


class _Output(io.FileIO):
    """A stream whose reader may go: what comes after that is dropped, and changes neither work nor exit code."""

    def __init__(self, number: int, strict: bool) -> None:
        """Takes a file descriptor. ``strict``: losing what is printed for other reasons is an error."""
        super().__init__(number, "w", closefd=False)
        self._strict = strict

    def write(self, data: Any) -> int:
        """Writes some bytes. Raises OutputError."""
        try:
            return super().write(data)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if self._strict and not isinstance(error, BrokenPipeError):
                raise OutputError(
                    f"cannot write to standard output: {error.strerror}; what the command did stays, what it had to say"
                    " is lost"
                ) from None
            return memoryview(data).nbytes


def guard_streams() -> None:
    """Puts such streams in place of this process's own, and something in place of those that are closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened would take the place of a stream
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1, True), _guarded(sys.stderr, 2, False)


def _guarded(stream: Any, number: int, strict: bool) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # closed: nothing is printed
        return stream
    raw: IO[bytes] = io.BufferedWriter(_Output(number, strict))
    return io.TextIOWrapper(
        raw, stream.encoding, stream.errors, line_buffering=stream.line_buffering, write_through=stream.write_through
    )
