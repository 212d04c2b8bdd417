"""What people see while a generator is trained: a bar over the steps, and the newest figures."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.training.log import Record
from flowreel.pipeline.training.plan import TrainPlan

PLAIN_EVERY_S = 30.0
SHOWN = ("L1", "G_GAN", "G_VGG", "F_Warp", "held_out_l1", "held_out_warp_error")


class TrainProgress:
    """Shows a live bar on a terminal, a line every half minute elsewhere."""

    def __init__(self, display: Display, plan: TrainPlan) -> None:
        self.display, self.total = display, plan.total_steps
        columns = (TextColumn("steps"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self.bar = Progress(
            *columns, TextColumn("{task.description}"), console=display.console, disable=not display.live
        )
        self.task = self.bar.add_task("starting", total=self.total)
        self._printed_s, self._starts = 0.0, 0

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.bar.stop()

    def show(self, starts: Sequence[int], records: Sequence[Record]) -> None:
        """Shows what has come since the last call: the steps at which workers started, and records of the log."""
        for step in starts:
            self._starts += 1
            if self._starts > 1 or step:
                why = "a worker died and was replaced: " if self._starts > 1 else ""
                self.display.say(f"{why}resuming from step {step:,}")
        for record in records:
            self.bar.update(self.task, completed=record["step"], description=_figures(record))
            due = not self.display.live and time.monotonic() - self._printed_s > PLAIN_EVERY_S
            if "held_out_l1" in record or due:
                self._printed_s = time.monotonic()
                self.display.say(f"step {record['step']:,}/{self.total:,}: {_figures(record)}")


def _figures(record: Record) -> str:
    return "  ".join(f"{name} {record[name]:.4g}" for name in SHOWN if name in record)
