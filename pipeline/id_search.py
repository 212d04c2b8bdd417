"""Finding ids among millions of others without a Python object for each."""

import numpy as np
from numpy.typing import NDArray


class IdSearch:
    """The places of ids in an array of them, (n, 16)."""

    def __init__(self, id_N16: NDArray[np.uint8]) -> None:
        self._ids = np.ascontiguousarray(id_N16)
        # By their first 8 bytes; the few that share those are looked at one by one.
        heads = self._ids.view(">u8")[:, 0].astype(np.uint64) if len(id_N16) else np.empty(0, np.uint64)
        self._order = np.argsort(heads)
        self._heads = heads[self._order]

    def find(self, written: str) -> int | None:
        """Where an id of 32 hex digits stands, None if nowhere."""
        try:
            wanted = bytes.fromhex(written)
        except ValueError:
            return None
        head = np.uint64(int.from_bytes(wanted[:8], "big"))
        for k in range(int(np.searchsorted(self._heads, head)), len(self._heads)):
            if self._heads[k] != head:
                return None
            if self._ids[self._order[k]].tobytes() == wanted:
                return int(self._order[k])
        return None
