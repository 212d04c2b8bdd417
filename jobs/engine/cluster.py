"""Connecting to Ray: the cluster that RAY_ADDRESS names, or one on this machine.

Ray is imported only where it is connected to: a command that finds nothing to render does without it.
"""

import importlib.util
import logging
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from flowreel.jobs.engine.local_network import private_session
from flowreel.schemas.errors import FlowreelError, UsageError
from flowreel.schemas.extras import require
from flowreel.schemas.spec import ExecutionSpec
from flowreel.schemas.training import TrainExecutionSpec
from flowreel.schemas.wording import counted

CONNECT_S = 10
Execution = TypeVar("Execution", ExecutionSpec, TrainExecutionSpec)


def on_cluster() -> bool:
    """Tells whether an existing Ray cluster is used; otherwise one is started on this machine for the command."""
    return bool(os.environ.get("RAY_ADDRESS"))


def fit_execution(execution: Execution, note: Callable[[str], None], doing: str) -> Execution:
    """Limits ``execution`` to what this machine has; leaves it as it is where a cluster is used.

    ``note`` is called with every change: a spec written for GPUs works on a laptop too, but never silently.
    ``doing``: "rendering" or "training".
    """
    if on_cluster():
        return execution
    cpus, gpus = os.cpu_count() or 1, local_gpus() if execution.num_gpus else 0
    changes: dict[str, object] = {}
    if execution.num_gpus > gpus:
        changes["num_gpus"] = 0.0
        if "num_gpus" in execution.model_fields_set or isinstance(execution, TrainExecutionSpec):
            has = counted(gpus, "GPU") if gpus else "no GPU"
            note(
                f"execution.num_gpus is {execution.num_gpus:g}, but PyTorch finds {has} here: {doing} on the CPU, which"
                " takes many times as long; set execution.num_gpus to 0 if that is what you want"
            )
    if execution.num_cpus > cpus:
        changes["num_cpus"] = cpus
        note(f"execution.num_cpus is {execution.num_cpus}, but this machine has {counted(cpus, 'CPU')}: using {cpus}")
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
    """Starts Ray, or connects to a cluster, for the time of a command.

    A cluster that is connected to is left running, and so is a caller's own Ray.

    Raises UsageError if the cluster cannot be connected to, FlowreelError if Ray does not start on this machine.
    """
    import ray

    if ray.is_initialized():  # by a Python program that calls `flowreel.render`
        yield
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    with nullcontext() if on_cluster() else private_session():
        _connect()
        try:
            yield
        finally:
            ray.shutdown()


def _connect() -> None:
    """Connects to the cluster or starts Ray. Raises UsageError or FlowreelError as `ray_session` says."""
    import ray

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
        address = os.environ.get("RAY_ADDRESS")
        where = f"the Ray cluster at RAY_ADDRESS={address}" if address else "Ray on this machine"
        raise UsageError(f"cannot connect to {where}: {error}") from None
    except Exception as error:  # a bare one, when its processes take longer than Ray waits for them
        raise FlowreelError(f"Ray did not start on this machine: {error} Run the same command again.") from None


def _check_address(address: str) -> None:
    """Raises UsageError if nobody answers at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        except OSError as error:
            raise UsageError(
                f"RAY_ADDRESS={address}: no Ray cluster answers there ({error.strerror or error}); correct it, or unset"
                " it to use this machine"
            ) from None


def waiting_for(execution: ExecutionSpec) -> str | None:
    """Gives a message if no node of the cluster has the resources of a worker, None otherwise."""
    import ray

    wanted = {"CPU": float(execution.num_cpus)} | ({"GPU": execution.num_gpus} if execution.num_gpus else {})
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(kind, 0) >= amount for kind, amount in wanted.items()) for node in nodes):
        return None
    gpus, cpus = execution.num_gpus, counted(execution.num_cpus, "CPU")
    needs = f"{gpus:g} {'GPU' if gpus <= 1 else 'GPUs'} and {cpus}" if gpus else cpus
    return (
        f"waiting for a node: none in the cluster has the {needs} that a worker needs; an autoscaler may add one,"
        " otherwise lower execution.num_gpus or execution.num_cpus"
    )


def worker_count(execution: ExecutionSpec, shards: int) -> int:
    """Gives the number of workers to start for ``shards`` shards.

    On a cluster, workers for which there is no room yet wait, which makes its autoscaler add nodes.
    """
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
