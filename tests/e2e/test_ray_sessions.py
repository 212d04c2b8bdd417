"""Ray ends beside what a command still does, and never beside the next session."""

import os
import subprocess
import sys

from .conftest import REPOSITORY

TWO_SESSIONS = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
import ray
from jobs.cluster import ray_session

enders, shutdown = [], ray.shutdown

def slow_shutdown():
    time.sleep(0.5)
    shutdown()
    enders.append(threading.current_thread().name)

ray.shutdown = slow_shutdown
with ThreadPoolExecutor(1, "aside") as aside:
    with ray_session(aside):
        first = ray.get_runtime_context().get_node_id()
    print("goes on while Ray is there:", ray.is_initialized())
    with ray_session(aside):
        print("another Ray:", ray.get_runtime_context().get_node_id() != first)
print("ended:", not ray.is_initialized(), enders)
with ray_session():
    pass
print("without a thread:", not ray.is_initialized(), enders[2:])
"""


def test_a_session_ends_aside_and_the_next_one_waits_for_that() -> None:
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    # A process of its own: one that has started a Ray keeps settings of it.
    ran = subprocess.run(
        [sys.executable, "-c", TWO_SESSIONS], capture_output=True, text=True, cwd=REPOSITORY, env=env, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-4:] == [
        "goes on while Ray is there: True",
        "another Ray: True",
        "ended: True ['aside_0', 'aside_0']",
        "without a thread: True ['MainThread']",
    ]
