"""A source file as it was when the source was checked."""

import hashlib

from pipeline.storage import NotFound, Store
from schemas.errors import SourceError
from schemas.sequence import SourceFile

SINCE = "since it was checked; run the command again"


def read_unchanged(store: Store, file: SourceFile) -> bytes:
    """A file's bytes, if they still are what was seen when the source was checked: a change is never half used.

    Raises SourceError otherwise.
    """
    try:
        data = store.read(file.path, sha256=file.digest)
    except NotFound:
        raise SourceError(f"{store.url(file.path)}: gone {SINCE}") from None
    if hashlib.sha256(data).hexdigest() != file.digest:
        raise SourceError(f"{store.url(file.path)}: changed {SINCE}")
    return data
