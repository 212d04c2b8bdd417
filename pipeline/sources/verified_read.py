"""Reads source files only as they were when the source was checked."""

from collections.abc import Sequence

from flowreel.pipeline.storage import NotFound, Store
from flowreel.pipeline.storage.integrity import has
from flowreel.schemas.errors import SourceError
from flowreel.schemas.sequence import SourceFile

SINCE = "since it was checked; run the command again"


def read_all_unchanged(store: Store, files: Sequence[SourceFile]) -> list[bytes]:
    """Reads files as `read_unchanged` does, all requested at once."""
    found = store.read_all([file.path for file in files])
    return [
        data if data is not None and has(data, file.digest) else read_unchanged(store, file)
        for file, data in zip(files, found, strict=True)
    ]


def read_unchanged(store: Store, file: SourceFile) -> bytes:
    """Reads a file's bytes if they are what they were when the source was checked, so that a change is never half used.

    Raises SourceError otherwise.
    """
    try:
        data = store.read(file.path, sha256=file.digest)
    except NotFound:
        raise SourceError(f"{store.url(file.path)}: gone {SINCE}") from None
    if not has(data, file.digest):
        raise SourceError(f"{store.url(file.path)}: changed {SINCE}")
    return data
