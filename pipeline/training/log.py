"""The log of a run: ``log.jsonl``, one line per interval, and the same numbers for TensorBoard."""

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from flowreel.pipeline.storage import NotFound, Store

LOG_FILE = "log.jsonl"
TENSORBOARD = "tensorboard"
FLUSH_S = 20.0  # at least so long between writes, other than with a state
Record = dict[str, Any]


def read_log(store: Store) -> list[Record]:
    """Reads all lines, oldest first; none where there is no log."""
    try:
        return [json.loads(line) for line in store.read(LOG_FILE).splitlines()]
    except NotFound:
        return []


class Log:
    """Averages of terms between lines. Lines after ``step`` belong to an interrupted run: they are written again."""

    def __init__(self, store: Store, step: int) -> None:
        """Opens the log. ``step``: of the state from which training continues; 0: there is none."""
        self.store, self.records = store, [r for r in read_log(store) if step and r["step"] <= step]
        self._sums, self._counts = defaultdict[str, Tensor | float](float), defaultdict[str, int](int)
        self._since, self._steps, self._flushed = time.monotonic(), 0, 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="flowreel-log-")
        self._board: Any = SummaryWriter(self._folder.name, purge_step=step + 1)

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Adds one step's terms; they stay on their device until a line is written."""
        self._steps += 1
        for name, value in terms.items():
            self._sums[name] = self._sums[name] + value
            self._counts[name] += 1

    def line(self, step: int, more: Mapping[str, float]) -> Record | None:
        """Ends an interval; gives None if no step was taken in it. Times are the only part that a rerun changes."""
        if not self._steps:
            return None
        now = time.monotonic()
        means = {name: round(float(total) / self._counts[name], 6) for name, total in sorted(self._sums.items())}
        record = {"step": step, **more, **means, "seconds_per_step": round((now - self._since) / self._steps, 4)}
        self._sums.clear()
        self._counts.clear()
        self._since, self._steps = now, 0
        self.note(record)
        return record

    def note(self, record: Record) -> None:
        """Adds a line of its own, such as an evaluation."""
        self.records.append(record)
        for name, value in record.items():
            if name != "step":
                self._board.add_scalar(name, value, record["step"])
        if time.monotonic() - self._flushed > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Writes both logs; object stores cannot append, so all of it (some hundred bytes a line)."""
        self._flushed = time.monotonic()
        self.store.write(LOG_FILE, "".join(json.dumps(r) + "\n" for r in self.records).encode())
        self._board.flush()
        for file in Path(self._folder.name).iterdir():
            self.store.write(f"{TENSORBOARD}/{file.name}", file.read_bytes())

    def close(self) -> None:
        """Writes both logs and closes them."""
        self.flush()
        self._board.close()
        self._folder.cleanup()
