"""One file named by a whole uri, such as a spec, a label space or an exemplar: the store it lies in, and its name."""

from collections.abc import Mapping
from typing import Any

from flowreel.pipeline.storage import Store, open_store


def open_file(uri: str, options: Mapping[str, Any] | None = None) -> tuple[Store, str]:
    """The folder of ``uri`` as a store, and the file's name in it; a bare name lies where the command runs."""
    folder, _, name = uri.rpartition("/")
    return open_store(folder or ("/" if uri.startswith("/") else "."), options), name
