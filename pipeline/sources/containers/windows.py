"""A seekable file over a large object, which asks for few and large ranges: for archive and video readers."""

import io
from collections import OrderedDict
from typing import Any

from flowreel.pipeline.storage import Store

FIRST = 2**18  # bytes of a window somewhere in the file
MOST = 2**23  # as long as windows follow each other, each is twice as large as the one before, up to this
KEPT = 3  # windows: where the reader is, where it came from, and a table of contents


class WindowedFile(io.RawIOBase):
    """Reads an object of ``size`` bytes in windows. Holds at most `KEPT` of them."""

    def __init__(self, store: Store, path: str, size: int) -> None:
        self._store, self._path, self.size, self._position = store, path, size, 0
        self._windows: OrderedDict[int, bytes] = OrderedDict()  # by their first byte
        self._next, self._length = 0, FIRST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}.get(whence)
        if base is None or base + offset < 0:
            raise OSError(f"no place {offset} of kind {whence}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        start = self._position
        if start >= self.size or not len(buffer):
            return 0
        first, window = self._window(start)
        part = window[start - first : start - first + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def read(self, size: int = -1) -> bytes:
        """Reads all bytes that are asked for, fewer only at the end."""
        wanted = self.size - self._position if size is None or size < 0 else min(size, self.size - self._position)
        parts = []
        while wanted > 0:
            part = bytearray(wanted)
            got = self.readinto(part)
            parts.append(bytes(part[:got]))
            wanted -= got
        return b"".join(parts)

    def _window(self, position: int) -> tuple[int, bytes]:
        for first, data in self._windows.items():
            if first <= position < first + len(data):
                self._windows.move_to_end(first)
                return first, data
        self._length = min(MOST, 2 * self._length) if position == self._next else FIRST
        stop = min(self.size, position + self._length)
        data = self._store.read_range(self._path, position, stop)
        self._next = stop
        self._windows[position] = data
        if len(self._windows) > KEPT:
            self._windows.popitem(last=False)
        return position, data
