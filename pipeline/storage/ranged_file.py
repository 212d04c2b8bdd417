"""A seekable file whose reads are requests for ranges of one object."""

import io
from collections.abc import Callable
from typing import Any


class RangedFile(io.RawIOBase):
    """Random access to an object of ``size`` bytes; ``read_range(start, stop)`` gets its bytes [start, stop)."""

    def __init__(self, read_range: Callable[[int, int], bytes], size: int) -> None:
        self._read_range, self._size, self._position = read_range, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        stop = min(self._position + len(buffer), self._size)
        data = self._read_range(self._position, stop)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        return self.read(max(0, self._size - self._position)) or b""  # in one request instead of blocks of 8 KiB
