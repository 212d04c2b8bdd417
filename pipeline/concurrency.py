"""Threads beside the main work: results prefetched in order, work of low priority that yields to the generator, and a
bound on the memory of what many threads do at once."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

BACKGROUND_THREADS = 2  # clips at once
NICE = 10  # added to the niceness of background threads


def prefetch(
    work: Callable[[T], R], items: Iterable[T], ahead: int, threads: int | None = None
) -> Generator[R, None, None]:
    """Maps ``work`` over ``items`` in order, by ``threads`` (default: ``ahead``), at most ``ahead`` results early.

    ``items`` are drawn by the caller's thread, no further than that. Nothing begins before the first result is asked
    for. When the generator is closed, what has not begun is cancelled, and what runs is not waited for. Raises what
    ``work`` raises, in its place.
    """
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


class ByteBudget:
    """Bounds the bytes that the threads of this process take for one kind of work: further ones wait for their turn.

    Work that takes more than the whole budget is done alone.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # a child has none of the threads that would give bytes back

    def _reset(self) -> None:
        self._turn, self._freed, self._mine = threading.Lock(), threading.Condition(), threading.local()
        self._held = 0

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Waits until ``size`` bytes are free, and takes them until the block ends. A thread that holds some already
        takes no more, so that it never waits for itself."""
        if getattr(self._mine, "holds", False):
            yield
            return
        size = min(size, self.most)
        with self._turn, self._freed:  # in turn: small work must not keep large work waiting for ever
            self._freed.wait_for(lambda: self._held + size <= self.most)
            self._held += size
        self._mine.holds = True
        try:
            yield
        finally:
            self._mine.holds = False
            with self._freed:
                self._held -= size
                self._freed.notify_all()

    def peak(self, size: int, threads: int) -> int:
        """Predicts the most bytes that ``threads`` threads take for pieces of ``size`` bytes."""
        return max(size, min(self.most, threads * size))


def _lower_priority() -> None:
    """Lowers the priority of the calling thread."""
    if sys.platform == "linux":  # the only system where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.nice(0) + NICE))
