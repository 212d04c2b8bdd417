"""Memory of many threads stays within a budget."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowreel.pipeline.concurrency import ByteBudget


def test_threads_take_no_more_than_the_budget_together_and_large_work_goes_alone() -> None:
    budget, lock, now, most = ByteBudget(100), threading.Lock(), list[int](), list[list[int]]()
    sizes = [30, 40, 60, 500, 10, 90, 100, 0, 700, 30] * 20

    def work(size: int) -> None:
        with budget.hold(size):
            with lock:
                now.append(size)
                most.append(list(now))
            with budget.hold(1000):  # what is part of work that has its bytes already
                pass
            with lock:
                now.remove(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes))
    assert len(most) == len(sizes)
    for together in most:
        assert sum(together) <= 100 or sum(size > 0 for size in together) == 1
    assert budget.peak(10, 4) == 40 and budget.peak(60, 4) == 100 and budget.peak(700, 4) == 700


def test_bytes_come_back_after_an_error_and_are_free_in_a_child_process() -> None:
    budget = ByteBudget(10)
    with pytest.raises(ValueError, match="damaged"), budget.hold(10):
        raise ValueError("damaged")
    with budget.hold(10):
        child = os.fork()
        if not child:
            with budget.hold(10):
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
