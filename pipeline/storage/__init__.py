"""A folder or a bucket behind `open_store`: the only user of fsspec."""

from flowreel.pipeline.storage.atomic_write import TEMPORARY_SUFFIX
from flowreel.pipeline.storage.errors import NotFound, Unavailable, redact
from flowreel.pipeline.storage.protocol import FileInfo
from flowreel.pipeline.storage.store import Store, sha256_of
from flowreel.pipeline.storage.uri import absolute_uri, open_file, open_store

__all__ = [
    "TEMPORARY_SUFFIX",
    "FileInfo",
    "NotFound",
    "Store",
    "Unavailable",
    "absolute_uri",
    "open_file",
    "open_store",
    "redact",
    "sha256_of",
]
