"""Checks of objects' bodies: stores cut them short, and some clients do not notice."""

import hashlib

from flowreel.pipeline.storage.errors import TryAgain
from flowreel.pipeline.storage.protocol import Backend


def has(data: bytes, sha256: str) -> bool:
    """Tells whether the bytes have this SHA-256, in hex."""
    return hashlib.sha256(data).hexdigest() == sha256


def of_length(data: bytes, expected: int) -> bytes:
    """Returns the bytes. Raises TryAgain if there are more or fewer than `expected`."""
    if len(data) != expected:
        raise TryAgain(f"{len(data)} bytes arrived, {expected} were expected")
    return data


def write_checked(backend: Backend, path: str, data: bytes) -> None:
    """Creates or replaces an object and reads it back. Raises TryAgain if it is not what was written."""
    backend.replace(path, data)
    try:
        found = backend.read(path, 0, len(data) + 1)
    except FileNotFoundError:
        found = b""
    if found != data:
        raise TryAgain(f"{len(data)} bytes were written, but {len(found)} different ones are stored")
