"""Reads texts that people write, such as specs and label spaces, with a bound on their size."""

from collections.abc import Mapping
from typing import Any

from flowreel.pipeline.storage.uri import open_file
from flowreel.schemas.errors import UsageError
from flowreel.schemas.parse import check_size


def read_text(uri: str, options: Mapping[str, Any] | None = None) -> str:
    """Gives the text of a YAML or JSON file at a path or URL. Nothing is read of a file that is too large.

    Raises UsageError for such a file and for one that holds no text, StorageError (NotFound) if it cannot be read.
    """
    store, name = open_file(uri, options)
    info = store.info(name)
    check_size(info.size, uri)
    try:
        return store.read(name, size=info.size).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{uri}: not a text file, where YAML is needed") from None
