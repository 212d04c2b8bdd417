"""A connection to Ray for the time of a command, and the signs that what it is connected to has gone."""

import logging
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import ray

from flowreel.jobs.engine.cluster import cluster_address, local_cpus
from flowreel.jobs.engine.local_network import private_session
from flowreel.jobs.terminal.signals import StopSignal, caught, stopped_text
from flowreel.schemas.errors import FlowreelError, Stopped, UsageError
from flowreel.schemas.exit_codes import Exit
from flowreel.schemas.wording import duration

VITAL = {"raylet": "node manager (raylet)", "gcs_server": "control store (GCS)"}  # by Ray's names of its processes
# After 60 s without its control store, Ray itself ends the process, whatever it is doing, with an error of its own.
PING_S, SILENT_S, UNHEARD_S = 5.0, 35.0, 45.0


class RayLost(FlowreelError):
    """Raised when a Ray on this machine has lost a process without which it cannot go on. ``started``: it was started
    by this command."""

    started = False


class RaySession:
    """A Ray that is connected to."""

    def __init__(self, address: str | None, started: bool) -> None:
        """Takes the cluster's ``address`` if this command connected to one; ``started``: it has started Ray here."""
        self.address, self.started = address, started
        self._silent_since_s = float("inf")
        self._ended = threading.Event()
        if address and not address.startswith("ray://"):
            threading.Thread(target=self._ping, args=(_control_store(),), daemon=True).start()

    def check(self) -> None:
        """Raises RayLost if Ray on this machine has died, FlowreelError if the cluster has been silent for long."""
        if dead := dead_processes():
            lost = RayLost(f"Ray on this machine died: its {dead[0]} has ended")
            lost.started = self.started
            raise lost
        if time.monotonic() - self._silent_since_s > SILENT_S:
            raise FlowreelError(self._gone())

    def _gone(self) -> str:
        return (
            f"the Ray cluster at {self.address} has not answered for {duration(SILENT_S)}: its head node, or Ray's"
            " control store (GCS) on it, has gone. Start it again, then run the same command to resume"
        )

    @property
    def alive(self) -> bool:
        """Tells whether requests to Ray would be answered."""
        return not dead_processes() and self._silent_since_s == float("inf")

    def close(self) -> None:
        """Ends the watch over the cluster."""
        self._ended.set()

    def _ping(self, place: tuple[str, int]) -> None:
        """Notes since when nobody has answered at ``place``, host and port."""
        while not self._ended.wait(PING_S):
            try:
                socket.create_connection(place, timeout=PING_S).close()
                self._silent_since_s = float("inf")
            except OSError:
                self._silent_since_s = min(self._silent_since_s, time.monotonic())
            if time.monotonic() - self._silent_since_s > UNHEARD_S and caught():  # the main thread waits for Ray
                os.write(2, f"flowreel: {self._gone()}\n".encode())
                os._exit(Exit.FAILED)


def dead_processes() -> list[str]:
    """Lists processes of a Ray that this process has started, and that have ended although they are needed."""
    node: Any = getattr(ray._private.worker, "_global_node", None)
    if node is None or not hasattr(node, "dead_processes"):
        return []
    return [VITAL[kind] for kind, _ in node.dead_processes() if kind in VITAL]


def _control_store() -> tuple[str, int]:
    """Gives host and port of the control store of the cluster that this process is connected to."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return host.strip("[]"), int(port)


@contextmanager
def ray_session() -> Iterator[RaySession]:
    """Starts Ray, or connects to a cluster, for the time of a command.

    A cluster that is connected to is left running, and so is a caller's own Ray.

    Raises UsageError if the cluster cannot be connected to, FlowreelError if Ray does not start on this machine.
    """
    if ray.is_initialized():  # by a Python program that calls `flowreel.render`
        yield RaySession(None, started=False)
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    address = cluster_address()
    with nullcontext() if address else private_session():
        with _own_signals():
            _connect(address)
        session = RaySession(address, started=address is None)
        try:
            yield session
        finally:
            session.close()
            ray.shutdown()


def _connect(address: str | None) -> None:
    """Does what `ray_session` does first."""
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            return
        # Threads that wait for each other sleep: on shared cores, spinning takes the time of those waited for.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # workers inherit it
        # Ray starts processes that have an environment of their own (Ray Train's) through a shell.
        python = shlex.quote(sys.executable)
        ray.init(
            address="local", num_cpus=local_cpus(), include_dashboard=False, log_to_driver=False,
            logging_level=logging.ERROR, namespace="flowreel",
            runtime_env={"py_executable": python} if python != sys.executable else None,
        )  # fmt: skip
    except Exception as error:  # a bare one, when its processes take longer than Ray waits for them
        said = str(error).strip() or type(error).__name__
        if address:
            raise UsageError(f"cannot connect to the Ray cluster at RAY_ADDRESS={address}: {said}") from None
        raise FlowreelError(f"Ray did not start on this machine: {said} Run the same command again.") from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps this process's answer to SIGTERM: Ray puts one in its place that exits with the signal's bare number."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as end:
        if isinstance(end, StopSignal) or end.code != signal.SIGTERM:
            raise
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)
        raise Stopped(stopped_text(signal.SIGTERM)) from None
    finally:
        signal.signal(signal.SIGTERM, before)
