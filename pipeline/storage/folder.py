"""A folder on a disk as a `Backend`, one call each: no retries, errors as they come.

Paths are relative to the root and have been checked by the Store.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from flowreel.pipeline.storage.atomic_write import create_file, replace_file, replace_with_copy
from flowreel.pipeline.storage.errors import DanglingLink
from flowreel.pipeline.storage.protocol import LINK_TAG, READERS, FileInfo, info_of_file, stat_of_entry
from flowreel.schemas.errors import StorageError

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
log = logging.getLogger(__name__)


class Folder:
    """A folder on a disk. Its methods are those of `protocol.Backend`."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def walk(self, folder: str, follow: bool = True) -> Iterator[FileInfo]:
        """Yields all files below a folder.

        Raises for folders that cannot be read: skipping them would look like missing frames. A link to nowhere is
        listed, so that whoever reads it gets the error.
        """
        top = self._root / folder
        if top.exists() and (follow or not self._link_to(folder)):
            yield from self._walk(top, (), follow)

    def _walk(self, folder: Path, above: tuple[str, ...], follow: bool) -> Iterator[FileInfo]:
        """Yields the files below a folder. `above`: the real paths of the folders that lead to it. Raises StorageError
        for a loop of links."""
        here = os.path.realpath(folder)
        if here in above:
            raise StorageError(f"Cannot list {folder}: it is a link to a folder that holds it. Remove the link.")
        files, folders = self._entries(folder, follow)
        yield from files
        for name in folders:
            yield from self._walk(folder / name, (*above, here), follow)

    def level(self, folder: str, follow: bool = True) -> tuple[list[FileInfo], list[str]]:
        top = self._root / folder
        if not top.exists() or (not follow and self._link_to(folder)):
            return [], []
        files, folders = self._entries(top, follow)
        return files, [f"{folder}/{name}".lstrip("/") for name in folders]

    def _entries(self, folder: Path, follow: bool) -> tuple[list[FileInfo], list[str]]:
        """Lists the files in a folder, and the names of the folders in it."""
        files, folders, below = [], [], folder.relative_to(self._root).as_posix()
        prefix = "" if below == "." else below + "/"
        with os.scandir(folder) as entries:
            for entry in entries:
                if not follow and entry.is_symlink():
                    files.append(FileInfo(prefix + entry.name, 0, LINK_TAG, 0.0))
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                    continue
                with suppress(FileNotFoundError):  # gone meanwhile
                    files.append(info_of_file(prefix + entry.name, stat_of_entry(entry)))
        return files, folders

    def stat(self, path: str) -> FileInfo:
        full = self._root / path
        if full.is_dir():
            raise FileNotFoundError(f"{full} is a folder")
        return info_of_file(path, os.stat(full))

    def read(self, path: str, start: int, stop: int) -> bytes:
        try:
            with open(self._root / path, "rb") as file:
                file.seek(start)
                size = os.fstat(file.fileno()).st_size
                return file.read(max(0, min(stop, size) - start))  # Python takes memory for all that is asked for
        except FileNotFoundError:
            _check_no_dangling(self._root / path, "read")
            raise

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        def one(path: str) -> bytes | None:
            try:
                return (self._root / path).read_bytes()
            except OSError:
                return None

        with ThreadPoolExecutor(READERS) as pool:  # for folders of a network
            return list(pool.map(one, paths))

    def replace(self, path: str, data: bytes) -> None:
        replace_file(self._root / path, data)

    def upload(self, path: str, local: Path) -> None:
        replace_with_copy(self._root / path, local)

    def create(self, path: str, data: bytes) -> bool:
        return create_file(self._root / path, data)

    def _link_to(self, path: str) -> Path | None:
        """Gives the first symbolic link on the way from the root to a file or folder, itself included."""
        place = self._root
        for part in path.split("/") if path else ():
            place = place / part
            if place.is_symlink():
                return place
        return None

    def delete(self, path: str) -> None:
        if link := self._link_to(path):
            log.warning("left alone: %s, which is or lies behind the symbolic link %s", self._root / path, link)
            return
        os.unlink(self._root / path)

    def check(self, make: bool) -> None:
        if self._root.is_file() and self._root.name.lower().endswith(ARCHIVES):
            raise StorageError(f"Cannot use {self._root}: it is an archive; unpack it, and give the folder.")
        try:
            _check_no_dangling(self._root, "use")
        except DanglingLink as error:
            raise StorageError(str(error)) from None  # no folder that is only not there yet
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        with os.scandir(self._root):
            pass


def _check_no_dangling(path: Path, action: str) -> None:
    """Raises DanglingLink for a symbolic link to what is not there."""
    if path.is_symlink() and not path.exists():
        raise DanglingLink(
            f"Cannot {action} {path}: it is a link to {os.readlink(path)}, which does not exist. Mount or copy that, or"
            " remove the link."
        )
