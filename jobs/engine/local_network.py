"""Keeps a Ray that is started for one command to this machine and to its own processes. Imports no Ray: what Ray reads
when it is imported has to be set before."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from flowreel.jobs.engine.cluster import on_cluster

# As on macOS and Windows, where Ray takes 127.0.0.1 for the address of the node, so that all of it listens there alone.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
TOKEN = "RAY_AUTH_TOKEN"
GIVEN = (TOKEN, "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")  # a user's own way to authenticate


def stay_on_loopback() -> None:
    """Makes Ray listen on the loopback address, if it is imported after this: until `private_session` ends. Where
    RAY_ADDRESS names a cluster, other nodes have to reach this process, and nothing changes."""
    if not on_cluster():
        os.environ.update(LOOPBACK)


@contextmanager
def private_session() -> Iterator[None]:
    """Gives the Ray that is started within the block a token of its own, which its processes inherit; leaves nothing in
    the environment for a Ray that is started later, which may be one of many nodes.

    Ray asks for a token either way, but takes one that it keeps in ~/.ray/auth_token, readable for others where the
    home folder is: with it, any user of this machine could run code as this one. A user's own settings stay.
    """
    stay_on_loopback()  # again, where a Ray that died is started anew
    ours = not any(os.environ.get(name) for name in GIVEN)
    if ours:
        os.environ[TOKEN] = secrets.token_hex(32)
        _forget_known_token()
    try:
        yield
    finally:
        for name in (*LOOPBACK, *(GIVEN if ours else ())):  # Ray itself sets RAY_AUTH_MODE
            os.environ.pop(name, None)
        if ours:
            _forget_known_token()


def _forget_known_token() -> None:
    """Makes Ray look for its token again, which it remembers for as long as the process lives."""
    from ray import _raylet

    if loader := getattr(_raylet, "AuthenticationTokenLoader", None):  # not in every release
        loader.instance().reset_cache()
