"""A folder or a bucket behind `open_store`: the only user of fsspec."""

from flowreel.pipeline.storage.atomic_write import TEMPORARY_NAME, TEMPORARY_SUFFIX
from flowreel.pipeline.storage.errors import (
    HARMLESS_OPTIONS,
    HARMLESS_VALUES,
    DanglingLink,
    NotFound,
    Unavailable,
    redact,
)
from flowreel.pipeline.storage.leftovers import delete_leftovers
from flowreel.pipeline.storage.protocol import LINK_TAG, FileInfo
from flowreel.pipeline.storage.store import Store, sha256_of
from flowreel.pipeline.storage.text import read_text
from flowreel.pipeline.storage.uri import absolute_uri, check_no_credentials, open_file, open_store, overlap

__all__ = [
    "HARMLESS_OPTIONS",
    "HARMLESS_VALUES",
    "LINK_TAG",
    "TEMPORARY_NAME",
    "TEMPORARY_SUFFIX",
    "DanglingLink",
    "FileInfo",
    "NotFound",
    "Store",
    "Unavailable",
    "absolute_uri",
    "check_no_credentials",
    "delete_leftovers",
    "open_file",
    "open_store",
    "overlap",
    "read_text",
    "redact",
    "sha256_of",
]
