"""SIGTERM: what machines get that are about to be taken away, and pods that are being deleted."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signal(say: Callable[[str], None], grace_s: float) -> Iterator[threading.Event]:
    """An event that SIGTERM sets. In other threads than the main one, which get no signals, nothing does."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(*_: object) -> None:
        if not stop.is_set():
            say(f"SIGTERM: no new shards; those under way get {grace_s:g} s")
        stop.set()

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
