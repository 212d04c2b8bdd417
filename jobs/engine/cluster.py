"""Connecting to Ray: the cluster that RAY_ADDRESS names, or one on this machine.

Ray is imported by those who connect: a command that finds nothing to render does without.
"""

import importlib.util
import logging
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from flowreel.schemas.errors import FlowreelError, UsageError
from flowreel.schemas.extras import require
from flowreel.schemas.spec import ExecutionSpec
from flowreel.schemas.training import TrainExecutionSpec

CONNECT_S = 10
Execution = TypeVar("Execution", ExecutionSpec, TrainExecutionSpec)


def on_cluster() -> bool:
    """Whether an existing Ray cluster is used; otherwise one is started on this machine for the command's time."""
    return bool(os.environ.get("RAY_ADDRESS"))


def fit_execution(execution: Execution, note: Callable[[str], None], doing: str) -> Execution:
    """``execution`` cut down to what this machine has; as it is where a cluster is used.

    What was changed is said: a spec written for GPUs works on a laptop too, but never silently.
    """
    if on_cluster():
        return execution
    cpus, gpus = os.cpu_count() or 1, local_gpus() if execution.num_gpus else 0
    changes: dict[str, object] = {}
    if execution.num_gpus > gpus:
        changes["num_gpus"] = 0.0
        if "num_gpus" in execution.model_fields_set or isinstance(execution, TrainExecutionSpec):
            note(
                f"execution.num_gpus is {execution.num_gpus:g}, but PyTorch finds {gpus} here: {doing} on the CPU,"
                " which takes many times as long; set it to 0 if that is meant"
            )
    if execution.num_cpus > cpus:
        changes["num_cpus"] = cpus
        note(f"execution.num_cpus is {execution.num_cpus}, this machine has {cpus}")
    return execution.model_copy(update=changes)


def local_gpus() -> int:
    """Counts the GPUs that PyTorch can use on this machine. A build for CPUs alone is not even imported to be asked."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return 0
    version = Path(found.origin).with_name("version.py")
    if version.is_file() and not re.search(r"^(?:cuda|hip)\b[^=\n]*= *['\"]", version.read_text(), re.MULTILINE):
        return 0
    import torch

    return torch.cuda.device_count()


def check_extras(what: str, extra: str, execution: ExecutionSpec | TrainExecutionSpec) -> None:
    """Raises MissingExtra unless ``extra`` is installed, and `cpu` too where workers render on this machine's CPUs."""
    on_cpus = not execution.num_gpus and not on_cluster()
    require(what, extra, *(["cpu"] if on_cpus else []))


@contextmanager
def ray_session() -> Iterator[None]:
    """Ray for the time of a command. A cluster that is connected to is left running, and so is a caller's own Ray."""
    import ray

    if ray.is_initialized():  # by a Python program that calls `flowreel.render`
        yield
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        if on_cluster():
            _check_address(os.environ["RAY_ADDRESS"])
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        else:
            # Threads that wait for each other sleep: on shared cores, spinning takes the time of those waited for.
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # workers inherit it
            # Ray starts processes that have an environment of their own (Ray Train's) through a shell.
            python = shlex.quote(sys.executable)
            ray.init(
                address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
                namespace="flowreel", runtime_env={"py_executable": python} if python != sys.executable else None,
            )  # fmt: skip
    except (ConnectionError, RuntimeError) as error:
        raise UsageError(f"Ray at RAY_ADDRESS={os.environ.get('RAY_ADDRESS', 'local')}: {error}") from None
    except Exception as error:  # a bare one, when its processes take longer than it waits for them
        raise FlowreelError(f"Ray did not start on this machine: {error} Run the same command again.") from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raises UsageError if nobody answers at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        except OSError as error:
            raise UsageError(
                f"RAY_ADDRESS={address}: nobody answers there ({error}); correct it, or unset it to render here"
            ) from None


def waiting_for(execution: ExecutionSpec) -> str | None:
    """What to tell the user if no node of the cluster can hold a worker as it is now."""
    import ray

    wanted = {"CPU": float(execution.num_cpus)} | ({"GPU": execution.num_gpus} if execution.num_gpus else {})
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(kind, 0) >= amount for kind, amount in wanted.items()) for node in nodes):
        return None
    return (
        f"waiting: no node of the cluster has the {execution.num_gpus:g} GPU(s) and {execution.num_cpus} CPU(s) of a"
        " worker; an autoscaler may bring one, else set execution.num_gpus and execution.num_cpus"
    )


def worker_count(execution: ExecutionSpec, shards: int) -> int:
    """How many actors to start. On a cluster, those that find no room yet wait and drive its autoscaler."""
    least, most = execution.workers
    count = max(least, min(most, shards))
    if on_cluster():
        return count
    import ray

    total = ray.cluster_resources()
    room = int(total.get("CPU", 1) // execution.num_cpus)
    if execution.num_gpus:
        room = min(room, int(total.get("GPU", 0) / execution.num_gpus))
    return max(1, min(count, room))
