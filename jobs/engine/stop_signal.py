"""SIGTERM while a run works: processes get it whose machine is about to be taken away, or whose pod is being deleted.

Within these blocks a first signal does not end the command at once. A second one does what it would do outside.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from flowreel.jobs.terminal.signals import ONCE_S, SIGNALS, caught
from flowreel.schemas.errors import Stopped
from flowreel.schemas.exit_codes import signal_name
from flowreel.schemas.wording import duration


class StopRequest:
    """Whether a run was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.number, self.since_s = 0, 0.0

    def is_set(self) -> bool:
        """Tells whether it was."""
        return bool(self.number)


@contextmanager
def stop_signal(say: Callable[[str], None], grace_s: float) -> Iterator[StopRequest]:
    """Gives a request that SIGTERM sets, and in a command SIGHUP too.

    ``grace_s``: seconds that shards in flight are given to finish.
    """
    numbers = [number for number in SIGNALS if number == signal.SIGTERM or (caught() and number != signal.SIGINT)]
    notice = f"starting no more shards; those in flight have {duration(grace_s)} to finish"
    with _noted(numbers, lambda name: say(f"{name}: {notice}")) as stop:
        try:
            yield stop
        except (Stopped, GeneratorExit):
            raise
        except Exception:
            if not stop.is_set():
                raise
    if stop.is_set():  # too late for whoever the request was for, or something else was in the way
        signal.raise_signal(stop.number)


@contextmanager
def postponed(say: Callable[[str], None], what: str) -> Iterator[None]:
    """Lets the block end before a signal that stops a command counts. ``what``: what is finished first."""
    numbers = [number for number in SIGNALS if number == signal.SIGTERM or caught()]
    stop = StopRequest()
    try:
        with _noted(numbers, lambda name: say(f"{name}: {what} first"), stop):
            yield
    finally:
        if stop.is_set():
            signal.raise_signal(stop.number)


@contextmanager
def _noted(
    numbers: list[signal.Signals], notice: Callable[[str], None], stop: StopRequest | None = None
) -> Iterator[StopRequest]:
    """Notes the first of these signals in ``stop`` instead of what else it does. Only the main thread gets signals: in
    others, nothing changes."""
    stop, before = stop or StopRequest(), dict[int, Any]()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if not stop.is_set():
            stop.number, stop.since_s = number, time.monotonic()
            with suppress(RuntimeError):  # it came while something else was printed
                notice(signal_name(number))
        elif time.monotonic() - stop.since_s > ONCE_S:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in numbers}
        before |= {number: found for number, found in handlers.items() if found != signal.SIG_IGN}
        for number in before:
            signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
