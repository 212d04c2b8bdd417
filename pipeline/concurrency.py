"""Threads beside the main work: results prefetched in order, and work of low priority that yields to the generator."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

BACKGROUND_THREADS = 2  # clips at once
NICE = 10  # added to the niceness of background threads


def prefetch(work: Callable[[T], R], items: Iterable[T], ahead: int, threads: int | None = None) -> Iterator[R]:
    """Maps ``work`` over ``items`` in order, on ``threads`` threads (default: ``ahead``), at most ``ahead`` results
    early."""
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads or ahead)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def background_pool() -> Executor:
    """Makes a pool of threads with low priority, which run when the generator's threads leave processors idle.

    The generator's threads wait for each other many times a frame, so one that has to share its processor holds up all
    of them; the time they spend waiting is enough for these. OpenCV's own threads, one per processor of the machine for
    each process, are switched off: measured, they gain nothing here.
    """
    import cv2

    cv2.setNumThreads(1)
    return ThreadPoolExecutor(BACKGROUND_THREADS, "background", _lower_priority)


def _lower_priority() -> None:
    """Lowers the priority of the calling thread."""
    if sys.platform == "linux":  # the only system where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.nice(0) + NICE))
