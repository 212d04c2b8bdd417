"""SIGTERM, SIGINT (Ctrl-C) and SIGHUP, from the first instant of a command to its last.

The first one raises `StopSignal` in the main thread, so that what is held is let go, and the command ends with a
sentence and the exit code 128 + the signal's number. A second one, or a clean-up that does not end, ends the process
there and then: nothing that counts is ever half-written. This module comes before everything else that a command
imports, and imports nothing itself that takes time.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from flowreel.schemas.errors import Stopped
from flowreel.schemas.exit_codes import of_signal, signal_name

SIGNALS = (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
ONCE_S = 1.0  # within which a signal counts once: `timeout` and others send it to a process and again to its group
CLEAN_UP_S = 20.0
AGAIN = "run the same command again"
RESUME = "finished shards are kept; run the same command to resume"


class StopSignal(SystemExit):
    """Raised in the main thread when a signal asks the command to stop. No `except Exception` catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(of_signal(number))
        self.number = number


@dataclass
class _State:
    """The signals of this process: they are its own, so there is one state."""

    caught: bool = False  # `catch_signals` was called
    begun: bool = False  # there may be something to clean up
    ended: bool = False  # the exit code is decided
    first: int = 0  # number of the first signal; 0: none
    first_s: float = 0.0  # monotonic
    alarm: int = -1  # a pipe: a byte in it starts the time that cleaning up may take


_state = _State()


def catch_signals() -> None:
    """Catches the signals of this process from now on; those that it was started to ignore (`nohup`) stay ignored."""
    reading, _state.alarm = os.pipe()
    threading.Thread(target=_limit_clean_up, args=(reading,), daemon=True).start()
    _state.caught = True
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _on_signal)


def command_begins() -> None:
    """Notes that from now on a signal is raised in the main thread; before, it ends the process at once."""
    _state.begun = True


def command_ended() -> None:
    """Notes that the exit code is decided: no signal changes it any more, as the process is ending anyway."""
    _state.ended = True


def caught() -> bool:
    """Tells whether this process is a command, and not a program that uses Flowreel."""
    return _state.caught


def received() -> int:
    """Gives the number of the first signal that has come, 0 if none has."""
    return _state.first


def stopped_text(number: int, what: str = AGAIN) -> str:
    """Words that a signal has stopped the command. ``what``: what there is now, or the next step."""
    return f"{'interrupted' if number == signal.SIGINT else f'stopped by {signal_name(number)}'}: {what}"


@contextmanager
def if_stopped(what: str | Callable[[], str]) -> Iterator[None]:
    """Ends a command that is stopped within the block with a word on what there is now: ``what``."""
    try:
        yield
    except StopSignal as stop:
        text = what if isinstance(what, str) else what()
        raise Stopped(stopped_text(stop.number, text), stop.number) from None


def _on_signal(number: int, _: object) -> None:
    """Stops the command. As signals may come anywhere, it takes no lock and calls nothing that might."""
    now = time.monotonic()
    if _state.ended:
        return
    if not _state.first:
        _state.first, _state.first_s = number, now
        if not _state.begun:
            _end_at_once("nothing was begun")
        os.write(_state.alarm, b"!")
        raise StopSignal(number)
    if now - _state.first_s > ONCE_S:
        _end_at_once(f"not waiting for the clean-up, as {signal_name(number)} came again; {AGAIN}")


def _limit_clean_up(reading: int) -> None:
    """Ends the process if it has not ended `CLEAN_UP_S` seconds after its alarm."""
    os.read(reading, 1)
    time.sleep(CLEAN_UP_S)
    _end_at_once(f"not waiting longer for the clean-up; {AGAIN}")


def _end_at_once(what: str) -> NoReturn:
    with contextlib.suppress(OSError):  # nobody reads it any more
        os.write(2, f"flowreel: {stopped_text(_state.first, what)}\n".encode())
    os._exit(of_signal(_state.first))
