"""Errors that Flowreel raises on purpose. Messages name the object, the value, the bound and the next step."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flowreel.schemas.exit_codes import Exit, of_signal


class FlowreelError(Exception):
    """The base of all errors that a user can act on; the command line prints the message without a traceback."""

    exit_code: int = Exit.FAILED


class UsageError(FlowreelError):
    """Raised when the command or the spec is wrong, or the input it names cannot be used: nothing was rendered."""

    exit_code = Exit.USAGE


class SourceError(UsageError):
    """Raised for label maps, instance maps or images that cannot be used, naming sequence and frame of each problem."""


class StorageError(UsageError):
    """Raised for a bucket or folder that cannot be listed, read or written."""


class CheckpointError(UsageError):
    """Raised for a generator checkpoint that is missing, unreadable or does not match its configuration."""


class DroppedError(FlowreelError):
    """A run that would drop more clips of the newest version than `failure.max_dropped_fraction` allows."""

    exit_code = Exit.OVER_BUDGET


class IntegrityError(FlowreelError):
    """Raised for stored bytes that differ from what their version or name promises."""


class DamagedMedia(IntegrityError, ValueError):
    """Raised for published media that do not decode, or do not fit each other."""


class DivergedError(FlowreelError):
    """Training whose losses, gradients or weights are not finite any more, or that ended worse than it began."""


class MissingExtra(UsageError, ImportError):
    """A part of Flowreel that is not installed; the message says which extra to install."""


class OverBudget(FlowreelError):
    """More clips were lost than `failure.max_failed_fraction` allows: nothing was published, what is done is kept."""

    exit_code = Exit.OVER_BUDGET


class Stopped(FlowreelError):
    """Raised when a run was asked to stop, by SIGTERM or another signal, as happens when a machine is reclaimed: the
    same command resumes it."""

    def __init__(self, message: str, number: int = signal.SIGTERM) -> None:
        """Takes the ``number`` of the signal, which decides the exit code."""
        super().__init__(message)
        self.exit_code = of_signal(number)


class DeviceLost(Exception):
    """Raised when a GPU, or a process's access to it, is gone: whatever that process asks of it from now on fails."""


@contextmanager
def underway(begun: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Gives errors of the block the exit code 1 where it would be 2: that one promises that nothing was done.

    ``begun``: whether anything was, asked when there is an error.
    """
    try:
        yield
    except FlowreelError as error:
        if error.exit_code == Exit.USAGE and begun():
            error.exit_code = Exit.FAILED
        raise
