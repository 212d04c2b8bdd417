"""Opens the `Store` that a URI of a folder or file lies in."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

from flowreel.pipeline.storage.backends import EXTRAS
from flowreel.pipeline.storage.store import Store, check_path
from flowreel.schemas.errors import StorageError


def open_store(uri: str, options: Mapping[str, Any] | None = None) -> Store:
    """Opens a store: a local path, `file://` URL or fsspec URL (`s3://bucket/folder`, `gs://`, `abfs://`, `memory://`).

    `options` go to fsspec's driver. Nothing is contacted yet. Raises StorageError for bad or unusable URIs.
    """
    scheme, separator, rest = uri.partition("://")
    if not uri or "\0" in uri or "::" in uri:
        raise StorageError(f"{uri!r} is no storage URI: give a local path or a URL such as s3://bucket/folder.")
    if not separator or scheme == "file":
        return Store(_local_path(uri))
    netloc = rest.partition("/")[0]
    user, _, host = netloc.rpartition("@")
    if "?" in rest or (user and (":" in user or EXTRAS.get(scheme) != "azure")):  # abfs://container@account is none
        shown = f"{scheme}://{host.partition('?')[0]}/..."
        raise StorageError(f"The URI {shown} has credentials or a query: put them into storage_options instead.")
    place = rest.strip("/")
    if not netloc and scheme != "memory":
        raise StorageError(f"{uri!r} names no bucket: write {scheme}://BUCKET/FOLDER.")
    if place:
        check_path(place, f"{scheme}://")
    try:
        fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        extra = EXTRAS.get(scheme)
        step = f'Install it: pip install "flowreel[{extra}]"' if extra else "Use a local path, s3://, gs:// or abfs://"
        raise StorageError(f"Cannot use {uri}: no driver for {scheme}:// ({error}). {step}.") from None
    return Store(f"{scheme}://{place}", dict(options or {}))


def absolute_uri(uri: str) -> str:
    """Gives a local path or `file://` URL as an absolute path, other URLs as they are.

    For places that are opened later by a process that may run in another folder. Raises StorageError for a `file://`
    URL of another host.
    """
    scheme, separator, _ = uri.partition("://")
    return uri if separator and scheme != "file" else _local_path(uri)


def open_file(uri: str, options: Mapping[str, Any] | None = None) -> tuple[Store, str]:
    """Opens the store that holds one file, such as a spec, a label space or an exemplar.

    Gives the folder of ``uri`` as a store, and the file's name in it; a bare name lies where the command runs.
    """
    folder, _, name = uri.rpartition("/")
    return open_store(folder or ("/" if uri.startswith("/") else "."), options), name


def _local_path(uri: str) -> str:
    """Gives the absolute path of a local path or file:// URL (whose %20 and the like are decoded)."""
    if not uri.startswith("file://"):
        return os.path.abspath(os.path.expanduser(uri))
    host, path = urlsplit(uri).netloc, unquote(uri.removeprefix("file://").partition("/")[2])
    if host not in ("", "localhost"):
        raise StorageError(f"{uri!r} names a host, {host!r}: write file:///ABSOLUTE/PATH, or the plain path.")
    return os.path.abspath("/" + path)
