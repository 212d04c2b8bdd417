"""Progress of steps that take minutes: a bar on a terminal, and a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flowreel.jobs.terminal.progress import Display

SAID_EVERY_S = 10.0


@contextmanager
def step(display: Display, name: str) -> Iterator[Callable[[int, int], None]]:
    """Shows a step while it lasts; the value is called with (done, total)."""
    said = time.monotonic()
    with display.task(name) as bar:

        def progress(done: int, total: int) -> None:
            nonlocal said
            bar(done, total)
            if not display.live and time.monotonic() - said > SAID_EVERY_S:
                said = time.monotonic()
                display.say(f"{name}: {done:,} of {total:,}")

        yield progress
