"""SIGTERM, which processes get whose machine is about to be taken away, or whose pod is being deleted."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flowreel.schemas.wording import duration


@contextmanager
def stop_signal(say: Callable[[str], None], grace_s: float) -> Iterator[threading.Event]:
    """Gives an event that SIGTERM sets. Only the main thread gets signals: in others, the event stays unset.

    ``grace_s``: seconds that shards in flight are given to finish.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(*_: object) -> None:
        if not stop.is_set():
            say(f"SIGTERM: starting no more shards; those in flight have {duration(grace_s)} to finish")
        stop.set()

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
