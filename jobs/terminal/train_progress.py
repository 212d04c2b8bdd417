"""What people see while a generator is trained: a bar over the steps, and the newest figures."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.training.log import Record
from flowreel.pipeline.training.outlook import Outlook
from flowreel.pipeline.training.plan import TrainPlan
from flowreel.schemas.wording import counted, duration

PLAIN_EVERY_S = 30.0
FIGURES = ("held_out_l1", "held_out_warp_error", "trained_on_l1", "trained_on_warp_error")
SHOWN = ("L1", "G_GAN", "G_VGG", "F_Warp", *FIGURES)


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

    def show(self, starts: Sequence[Outlook], records: Sequence[Record]) -> None:
        """Shows what has come since the last call: workers that started, and records of the log."""
        for outlook in starts:
            self._starts += 1
            self.bar.update(self.task, completed=outlook.step)
            if self._starts > 1:
                self.display.say(f"a worker died and was replaced: resuming from step {outlook.step:,}")
            else:
                self.display.say(_described(outlook))
        for record in records:
            self.bar.update(self.task, completed=record["step"], description=_figures(record))
            due = not self.display.live and time.monotonic() - self._printed_s > PLAIN_EVERY_S
            if due or record.keys() & set(FIGURES):
                self._printed_s = time.monotonic()
                self.display.say(f"step {record['step']:,}/{self.total:,}: {_figures(record)}")


def _described(outlook: Outlook) -> str:
    """Words what is trained, on what, and how long it will take."""
    networks = (
        f"generator {outlook.generator_parameters / 1e6:.3g} M parameters, discriminators"
        f" {outlook.discriminator_parameters / 1e6:.3g} M"
    )
    left = f"{counted(outlook.steps_left, 'step')} to go"
    if outlook.seconds_left is not None:
        minutes = max(1, round(outlook.seconds_left / 60))
        left += f", {outlook.seconds_per_step:.2g} s each at first: about {duration(60 * minutes)}"
    return f"training on {outlook.device}, {counted(outlook.workers, 'worker')}: {networks}; {left}"


def _figures(record: Record) -> str:
    return "  ".join(f"{name} {record[name]:.4g}" for name in SHOWN if name in record)
