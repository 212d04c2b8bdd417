"""Opens the `Store` that a URI of a folder or file lies in."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

from flowreel.pipeline.storage.bucket import EXTRAS
from flowreel.pipeline.storage.store import Store, check_path
from flowreel.schemas.errors import StorageError
from flowreel.schemas.extras import require

ARCHIVE_SCHEMES = ("zip", "tar", "libarchive")
_WEB = ("http", "https")
_LOCAL_HOSTS = ("", "localhost")
_MISSPELT = re.compile(rf"({'|'.join((*EXTRAS, *_WEB, 'file'))}):(?!//)", re.IGNORECASE)  # s3:/bucket, s3:bucket


def open_store(uri: str, options: Mapping[str, Any] | None = None) -> Store:
    """Opens a store: a local path, `file://` URL or fsspec URL (`s3://bucket/folder`, `gs://`, `abfs://`, `memory://`).

    `options` go to fsspec's driver. Nothing is contacted yet. Raises StorageError for bad or unusable URIs,
    MissingExtra if what the store needs is not installed.
    """
    check_no_credentials(uri)
    scheme, separator, rest = uri.partition("://")
    if scheme in ARCHIVE_SCHEMES:
        raise StorageError(
            f"{scheme}:// names what lies in an archive, which Flowreel does not open as a place: unpack it, and give"
            " the folder or bucket URL where its files lie then."
        )
    if not uri or "\0" in uri or "::" in uri:
        raise StorageError(f"{uri!r} is no storage URI: give a local path or a URL such as s3://bucket/folder.")
    if not separator or scheme == "file":
        return Store(_local_path(uri))
    netloc = rest.partition("/")[0]
    place = rest.strip("/")
    if not netloc and scheme != "memory":
        raise StorageError(f"{uri!r} names no bucket: write {scheme}://BUCKET/FOLDER.")
    if place:
        check_path(place, f"{scheme}://")
    try:
        fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        if extra := EXTRAS.get(scheme):
            require(uri, extra)
        raise StorageError(
            f"Cannot use {uri}: no driver for {scheme}:// ({error}). Use a local path, s3://, gs:// or abfs://."
        ) from None
    return Store(f"{scheme}://{place}", dict(options or {}))


def absolute_uri(uri: str) -> str:
    """Gives a local path or `file://` URL as an absolute path, other URLs as they are.

    For places that are opened later by a process that may run in another folder. Raises StorageError for a `file://`
    URL of another host.
    """
    scheme, separator, _ = uri.partition("://")
    return uri if separator and scheme != "file" else _local_path(uri)


def check_no_credentials(uri: str) -> None:
    """Raises StorageError for a URL that carries a user, a password or a query, and shows only its scheme.

    A secret may hold slashes, so `KEY:SECRET@` may end anywhere behind the scheme, be quoted (`%3A`), or follow too few
    slashes; `container@account`, as Azure has it, is no secret, nor is an `@` further on with no colon before it.
    """
    _check_spelling(uri)
    for part in uri.split("::"):  # fsspec's chains
        scheme, separator, quoted = part.partition("://")
        if separator and _has_credentials(scheme.lower(), unquote(quoted)):
            shown = scheme if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) else "..."
            raise StorageError(
                f"A URL {shown}://... has credentials or a query in it: put them into storage_options instead, or into"
                " the environment."
            )


def _has_credentials(scheme: str, rest: str) -> bool:
    """Tells whether what follows the scheme of a URL may hold a secret."""
    host, user = rest.partition("/")[0], rest.partition("/")[0].rpartition("@")[0]
    if scheme == "file":  # what follows an empty host is a path, of any characters
        return bool(user) or (host not in _LOCAL_HOSTS and "@" in rest)
    tail = "?" in rest or (scheme in _WEB and "#" in rest)
    return tail or ":" in rest.rpartition("@")[0] or bool(user and EXTRAS.get(scheme) != "azure")


def open_file(uri: str, options: Mapping[str, Any] | None = None) -> tuple[Store, str]:
    """Opens the store that holds one file, such as a spec, a label space or an exemplar.

    Gives the folder of ``uri`` as a store, and the file's name in it; a bare name lies where the command runs.
    """
    check_no_credentials(uri)
    folder, _, name = uri.rpartition("/")
    return open_store(folder or ("/" if uri.startswith("/") else "."), options), name


def overlap(a: Store, b: Store) -> bool:
    """Tells whether one store lies in the other, or both are the same place: on disks wherever links lead, in buckets
    by their names."""
    if ("://" in a.uri) != ("://" in b.uri):
        return False
    if "://" not in a.uri:
        return _inside(a.uri, b.uri) or _inside(b.uri, a.uri)
    first, second = ([*_parts(store.uri)] for store in (a, b))
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter]


def _inside(place: str, folder: str) -> bool:
    """Tells whether a local place is a folder or lies in it, however both are reached."""
    real = Path(os.path.realpath(place))
    for above in (real, *real.parents):
        if above == Path(os.path.realpath(folder)):
            return True
        with suppress(OSError):  # not made yet
            if os.path.samefile(above, folder):
                return True
    return False


def _parts(uri: str) -> list[str]:
    """Splits a URL; the schemes of one kind of store count as the same."""
    scheme, _, rest = uri.partition("://")
    return [EXTRAS.get(scheme, scheme), *rest.strip("/").split("/")]


def _check_spelling(uri: str) -> None:
    """Raises StorageError for a URL with too few slashes, which would pass for a path; what follows may be secret."""
    if misspelt := _MISSPELT.match(uri):
        scheme = misspelt[1]
        raise StorageError(
            f"A place that begins with {scheme}: is neither a URL nor a path: write {scheme}://..., or"
            f" ./{scheme}:... for a folder of that name."
        )


def _local_path(uri: str) -> str:
    """Gives the absolute path of a local path or file:// URL (whose %20 and the like are decoded).

    Raises StorageError for a URL of another host, and for one with too few slashes, which may hold credentials.
    """
    _check_spelling(uri)
    if not uri.startswith("file://"):
        return os.path.abspath(os.path.expanduser(uri))
    host, path = urlsplit(uri).netloc, unquote(uri.removeprefix("file://").partition("/")[2])
    if host not in _LOCAL_HOSTS:
        raise StorageError(f"{uri!r} names a host, {host!r}: write file:///ABSOLUTE/PATH, or the plain path.")
    return os.path.abspath("/" + path)
