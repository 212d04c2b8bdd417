"""Compares stored files with the sizes and hashes that were published."""

import hashlib

from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import IntegrityError

BLOCK_BYTES = 64 * 2**20


def size_and_hash(dataset: Store, path: str) -> tuple[int, str]:
    """Gives bytes and SHA-256 of an object that may be larger than memory. Raises StorageError if it cannot be read."""
    size, state = dataset.info(path).size, hashlib.sha256()
    for start in range(0, size, BLOCK_BYTES):
        state.update(dataset.read_range(path, start, min(size, start + BLOCK_BYTES)))
    return size, state.hexdigest()


def difference(url: str, found: tuple[int, str], size: int, sha256: str) -> str:
    """Words how ``found``, bytes and SHA-256, differs from what was published; empty if it does not."""
    if found[0] != size:
        return f"{url}: {found[0]:,} bytes, {size:,} were published; restore it or publish the dataset again"
    if found[1] != sha256:
        return (
            f"{url}: content changed: SHA-256 {found[1][:12]}..., published {sha256[:12]}...; restore it or publish the"
            " dataset again"
        )
    return ""


def check_hash(dataset: Store, path: str, size: int, sha256: str) -> None:
    """Reads an object and raises IntegrityError unless it is what was published."""
    if problem := difference(dataset.url(path), size_and_hash(dataset, path), size, sha256):
        raise IntegrityError(problem)
