"""Work that is done ahead of who takes its results."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T], ahead: int, threads: int | None = None) -> Iterator[R]:
    """`map` by ``threads``, or ``ahead`` of them, which are at most ``ahead`` results ahead of the caller."""
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
