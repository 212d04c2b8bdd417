"""A cache of decoded frames."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Memory:
    """A cache of what was used last, up to a number of bytes. Threads may share it."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any | None:
        """Gives what was put under ``key``; None if it was dropped."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, value: Any, nbytes: int) -> None:
        """Keeps ``value``, and drops what was not used for longest. What is larger than the whole cache is not kept."""
        if nbytes > self.most_bytes:
            return
        with self._lock:
            _, before = self._kept.pop(key, (None, 0))
            self._kept[key] = (value, nbytes)
            self.bytes += nbytes - before
            while self.bytes > self.most_bytes:
                _, (_, freed) = self._kept.popitem(last=False)
                self.bytes -= freed
