"""Where a command runs: forms of RAY_ADDRESS, and what this machine has."""

import os
import socket
import threading

import pytest

from flowreel.jobs.engine.cluster import cluster_address, local_cpus, on_cluster
from flowreel.schemas.errors import UsageError


@pytest.mark.parametrize("address", ["", "local"])
def test_this_machine(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert cluster_address() is None and not on_cluster()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:8265", "give HOST:PORT of the cluster's head node, without http://"),
        ("127.0.0.1", "give HOST:PORT of the cluster's head node, for example head-node:6379"),
        ("127.0.0.1:", "give HOST:PORT"),
        (":6379", "give HOST:PORT"),
        ("127.0.0.1:70000", "give HOST:PORT"),
        ("http://host:8265/?token=secret", r"\.\.\. \(with a \?, which is not shown\): give HOST:PORT"),
        ("name:secret@host:6379", r"RAY_ADDRESS=\.\.\. \(with an @, which is not shown\): give HOST:PORT"),
    ],
)
def test_other_forms_are_refused_with_the_right_one(address: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UsageError, match=says) as raised:
        cluster_address()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_answers_is_refused(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", scheme + place)
        with pytest.raises(UsageError, match=f"{place}: no Ray cluster answers there"):
            cluster_address()


@pytest.mark.parametrize("answer", [b"-ERR unknown command 'PRI'\r\n", b"HTTP/1.0 400 Bad Request\r\n"])
def test_an_address_of_something_else_is_refused(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as Redis, whose port Ray has taken over; Ray itself would try for minutes."""
    with pytest.raises(UsageError, match="no Ray cluster answers there \\(something else does\\)"):
        answered(answer, monkeypatch)


def test_an_address_where_ray_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered(b"\0\0\x12\x04\0\0\0\0\0" + bytes(18), monkeypatch) and on_cluster()


def answered(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """What is made of an address whose server says this."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{listening.getsockname()[1]}")
        server = threading.Thread(target=serve)
        server.start()
        try:
            return cluster_address()
        finally:
            server.join()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_only_cpus_that_this_process_may_use_count() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, [min(allowed)])
        assert local_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert 1 <= local_cpus() <= len(allowed)
