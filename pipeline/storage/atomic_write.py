"""Files that appear whole or not at all, and creation with exactly one winner: what publishing a version rests on.

Each kind of store has its own way: a hard link (local), a lock (memory), a conditional PUT (object stores).
"""

import errno
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from flowreel.pipeline.storage.errors import TryAgain, status_of

TEMPORARY_SUFFIX = ".flowreel-tmp"  # files being written; left behind only by a kill
TEMPORARY_NAME = rf"\.[0-9a-f]{{32}}{re.escape(TEMPORARY_SUFFIX)}"  # a pattern: what `temporary_name` makes
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
PRECONDITION_FAILED = 412
COPY_BYTES = 16 * 2**20

_memory_lock = threading.Lock()


def temporary_name() -> str:
    """Makes a file name that nobody else uses."""
    return f".{uuid4().hex}{TEMPORARY_SUFFIX}"


def replace_file(target: Path, data: bytes) -> None:
    """Writes a local file in one step: readers see the old or the new content, also after a crash."""
    with _written(target.parent, data) as temporary:
        os.replace(temporary, target)
    _sync_folder(target.parent)


def replace_with_copy(target: Path, source: Path) -> None:
    """Replaces a local file in one step, as `replace_file` does, by a copy of another one, which need not fit into
    memory."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / temporary_name()
    try:
        with open(source, "rb") as content, open(temporary, "xb") as file:
            shutil.copyfileobj(content, file, COPY_BYTES)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def create_file(target: Path, data: bytes) -> bool:
    """Creates a local file with its content in one step; False if there is one already."""
    with _written(target.parent, data) as temporary:
        created = _link(temporary, target)
    _sync_folder(target.parent)
    return created


def create_in_memory(fs: Any, path: str, data: bytes) -> bool:
    """Creates a file in fsspec's memory store; False if there is one already. Safe among the threads of this
    process."""
    with _memory_lock:
        if fs.exists(path):
            return False
        fs.pipe_file(path, data)
        return True


def create_object(put: Callable[[], object], holds: Callable[[], bool]) -> bool:
    """Creates an object in an object store; False if there is one already. `put` is one conditional PUT, `holds` tells
    whether the stored body is its own.

    "Exists already" may be the answer to one's own PUT, sent again because its first answer was lost. So the stored
    body decides, and writers must write different bodies. After a transient error it can be called again.
    """
    try:
        put()
        return True
    except Exception as error:
        if not _exists_already(error):
            raise
    try:
        return holds()
    except FileNotFoundError:
        raise TryAgain("it existed when it was written and was gone when it was read") from None


def _exists_already(error: Exception) -> bool:
    """Tells whether an error says that the object exists.

    s3fs knows only the 412 answers of AWS; those of Ceph and SeaweedFS are a bare OSError that carries the status.
    """
    return isinstance(error, FileExistsError) or status_of(error) == PRECONDITION_FAILED


@contextmanager
def _written(folder: Path, data: bytes) -> Iterator[Path]:
    """Yields a temporary file in `folder` (made if missing) whose content, `data`, is safely on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / temporary_name()
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _link(temporary: Path, target: Path) -> bool:
    """Links the temporary file to its name; False if that name is taken."""
    try:
        os.link(temporary, target)
        return True
    except FileExistsError:
        return temporary.stat().st_nlink > 1  # NFS sends again after a lost answer: the link may be our own
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
    return _rename_locked(temporary, target)


def _rename_locked(temporary: Path, target: Path) -> bool:
    """Renames under a lock that ends with its process: for file systems without hard links (exFAT, some FUSE
    mounts)."""
    import fcntl  # not on Windows, whose file systems have hard links

    folder = os.open(target.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if os.path.lexists(target):
            return False
        os.replace(temporary, target)
        return True
    finally:
        os.close(folder)


def _sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut, where the system can do that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
