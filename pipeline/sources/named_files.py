"""Reads files that a spec names by URI, or several by one with `*`, such as a JSON beside every picture."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from flowreel.pipeline.pointers import check_no_pointer
from flowreel.pipeline.sources.system_names import system_names
from flowreel.pipeline.storage import Store, open_file, open_store

AT_ONCE = 256  # files


def read_named(uri: str, options: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Reads a file, or all that match a URI with `*` (within a part) or `**` (any parts); gives their URLs and bytes.

    Raises StorageError for what cannot be read, ValueError if nothing matches or a file is only a pointer.
    """
    if "*" not in uri:
        store, name = open_file(uri, options)
        found = [(uri, store.read(name))]
    else:
        found = _matching(uri, options)
    for url, data in found:
        try:
            check_no_pointer(data)
        except ValueError as error:
            raise ValueError(f"{url}: {error}") from None
    return found


def _matching(uri: str, options: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    fixed, _, rest = uri.partition("*")
    folder, _, start = fixed.rpartition("/")
    store = open_store(folder or ".", options)
    paths = [info.path for info in store.list(pattern=f"{start}*{rest}")]
    hidden = system_names(pa.array(paths, pa.string()))
    paths = [path for path, name in zip(paths, hidden.to_pylist(), strict=True) if name is None]
    if not paths:
        raise ValueError(f"{uri}: no file matches")
    return [(store.url(path), data) for path, data in zip(paths, _read_all(store, paths), strict=True)]


def _read_all(store: Store, paths: list[str]) -> list[bytes]:
    found: list[bytes] = []
    for first in range(0, len(paths), AT_ONCE):
        part = paths[first : first + AT_ONCE]
        bodies = store.read_all(part)
        found += [store.read(path) if body is None else body for path, body in zip(part, bodies, strict=True)]
    return found
