"""What a `Store` asks of a local folder or a bucket."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One object: path relative to the root, size in bytes, and a tag that changes when the content does.

    The tag is the etag, or the time of the last change where a store has no etags. `modified_s` is that time in
    Unix seconds by the store's clock, 0.0 where it isn't known.
    """

    path: str
    size: int
    tag: str
    modified_s: float


class Backend(Protocol):
    """The operations that a Store is made of."""

    def walk(self, folder: str) -> Iterator[FileInfo]:
        """All objects below a folder, at any depth, in any order."""

    def level(self, folder: str) -> tuple[list[FileInfo], list[str]]:
        """Objects and folders right in a folder, in any order."""

    def stat(self, path: str) -> FileInfo:
        """Raises FileNotFoundError for folders too."""

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes [start, stop), fewer where the object ends before."""

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        """Whole objects, all asked for at once; None for those that did not come at the first try."""

    def replace(self, path: str, data: bytes) -> None:
        """In one step."""

    def upload(self, path: str, local: Path) -> None:
        """`replace` by the content of a local file."""

    def create(self, path: str, data: bytes) -> bool:
        """In one step; False if there is such an object."""

    def delete(self, path: str) -> None:
        """May raise FileNotFoundError."""

    def check(self, make: bool) -> None:
        """Raises if the root can't be listed; `make`: creates it where that takes no decision (a folder, no bucket)."""
