"""Threads for work that must not slow down the generator beside them."""

import os
import sys
import threading
from concurrent.futures import Executor, ThreadPoolExecutor

import cv2

THREADS = 2  # clips at once
NICE = 10  # steps of priority that they stand back


def behind() -> Executor:
    """A pool whose threads get the processors when the generator's leave them: these wait for each other many times a
    frame, so one that has to share its processor holds up all, and what they leave while waiting is enough for us.

    OpenCV's own threads, one per processor of the machine for each process, are switched off: measured, they gain
    nothing here.
    """
    cv2.setNumThreads(1)
    return ThreadPoolExecutor(THREADS, "behind", _stand_back)


def _stand_back() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.nice(0) + NICE))
