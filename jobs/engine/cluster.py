"""Where a command runs: on the cluster that RAY_ADDRESS names, or on this machine, and what this machine has.

Nothing here imports Ray: a command that finds nothing to render does without it.
"""

import importlib.util
import os
import re
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from flowreel.schemas.errors import UsageError
from flowreel.schemas.extras import require
from flowreel.schemas.spec import ExecutionSpec
from flowreel.schemas.training import TrainExecutionSpec
from flowreel.schemas.wording import counted

CONNECT_S = 10
_HERE = ("", "local")  # values of RAY_ADDRESS that stand for this machine
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"  # how its connections begin (RFC 9113, 3.4)
_SETTINGS = b"\x04"  # the type of the frame that answers
_CGROUPS = Path("/sys/fs/cgroup")
Execution = TypeVar("Execution", ExecutionSpec, TrainExecutionSpec)


def on_cluster() -> bool:
    """Tells whether an existing Ray cluster is used; otherwise one is started on this machine for the command."""
    return os.environ.get("RAY_ADDRESS", "") not in _HERE


def fit_execution(execution: Execution, note: Callable[[str], None], doing: str) -> Execution:
    """Limits ``execution`` to what this machine has; leaves it as it is where a cluster is used.

    ``note`` is called with every change: a spec written for GPUs works on a laptop too, but never silently.
    ``doing``: "rendering" or "training".
    """
    if on_cluster():
        return execution
    cpus, gpus = local_cpus(), local_gpus() if execution.num_gpus else 0
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


def local_cpus() -> int:
    """Counts the CPUs that this process may use, as containers and `taskset` limit them."""
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    for quota, period in (("cpu.max", ""), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with suppress(OSError, ValueError):  # no such limit; "max": none
            numbers = [
                float(word) for name in (quota, period) if name for word in (_CGROUPS / name).read_text().split()
            ]
            if numbers[0] > 0:
                count = min(count, max(1, int(numbers[0] / numbers[1])))
    return count


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
    """Raises MissingExtra unless ``extra`` is installed, and `cpu` too where workers render on this machine's CPUs; and
    UsageError if RAY_ADDRESS is no address."""
    if on_cluster() and os.environ["RAY_ADDRESS"] != "auto":
        _host_and_port(os.environ["RAY_ADDRESS"])  # before minutes of planning; whether anybody answers shows later
    on_cpus = not execution.num_gpus and not on_cluster()
    require(what, extra, *(["cpu"] if on_cpus else []))


def cluster_address() -> str | None:
    """Gives the address of the cluster that RAY_ADDRESS names, None for this machine.

    Raises UsageError if it is no address, or if nobody answers there: Ray itself would try for minutes.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address in _HERE:
        return None
    if address != "auto":
        _check_answers(address, *_host_and_port(address))
    return address


def _host_and_port(address: str) -> tuple[str, int]:
    """Takes an address apart. Raises UsageError with the right form for others that people try."""
    secret = next((mark for mark in "@?#" if mark in address), "")
    shown = f"... (with {'an' if secret == '@' else 'a'} {secret}, which is not shown)" if secret else address
    scheme, _, place = address.rpartition("://")
    host, _, port = place.rpartition(":")
    if scheme not in ("", "ray"):
        without = "a scheme" if secret else f"{scheme}://"
        raise UsageError(
            f"RAY_ADDRESS={shown}: give HOST:PORT of the cluster's head node, without {without} (the port is 6379"
            " unless the cluster says otherwise); to send a job to a cluster's dashboard by its URL, use"
            " `flowreel submit --address URL`"
        )
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or secret:
        raise UsageError(
            f"RAY_ADDRESS={shown}: give HOST:PORT of the cluster's head node, for example head-node:6379, or `auto` for"
            " a cluster on this machine; unset it to start Ray for this command"
        )
    return host.strip("[]"), int(port)


def _check_answers(address: str, host: str, port: int) -> None:
    """Raises UsageError if nobody answers, or somebody who does not speak gRPC (HTTP/2) as all of Ray does."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            connection.sendall(_HTTP2)
            head = connection.recv(4)
            if head[3:] == _SETTINGS:
                return
            reason = "something else does"
    except OSError as error:
        reason = error.strerror or str(error)
    raise UsageError(
        f"RAY_ADDRESS={address}: no Ray cluster answers there ({reason}); correct it, or unset it to use this machine"
    )
