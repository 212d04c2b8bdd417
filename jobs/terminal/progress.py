"""What people see while a command works: rich bars on a terminal, plain lines elsewhere. All of it goes to stderr."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from flowreel.jobs.terminal.json_logs import json_wanted, line
from flowreel.schemas.outcome import Failed, ShardOutcome
from flowreel.schemas.secrets import hide_secrets
from flowreel.schemas.wording import counted, duration, printable

if TYPE_CHECKING:  # pyarrow: only where something is planned
    from flowreel.pipeline.planning.prepare import Prepared

PLAIN_EVERY_S = 5.0
WORKERS_SHOWN = 8
TELLING = 0.05  # part of the frames after which the time left is estimated


class ShownWorker(Protocol):
    """What is shown of a worker."""

    name: str  # empty until its generator is loaded
    frames: int  # generated so far
    deaths: int

    @property
    def attempts(self) -> Sized:
        """Gives the shards in flight on it."""


class Display:
    """Shows the progress of a command: rich bars on a terminal, plain or JSON lines elsewhere; nothing if ``quiet``."""

    def __init__(self, quiet: bool = False) -> None:
        self.console, self.quiet = Console(stderr=True, highlight=False), quiet
        self.json = json_wanted()
        self._ids: dict[str, str] = {}

    @property
    def live(self) -> bool:
        """Tells whether bars are drawn."""
        return self.console.is_terminal and not self.json and not self.quiet

    def say(self, text: str, level: str = "info", **ids: str) -> None:
        """Prints a line. ``ids``: those of the run, shard or clip that it is about, for JSON lines."""
        if self.quiet:
            return
        text = hide_secrets(printable(text))  # also in programs that print elsewhere
        if self.live:
            self.console.print(escape(text))
        else:
            print(line(level, text, self._ids | ids) if self.json else text, file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Prints a warning."""
        self.say(f"note: {text}", "warning")

    def planned(self, prepared: "Prepared") -> None:
        """Prints what a plan will render, reuse and leave out."""
        plan, catalog = prepared.plan, prepared.catalog
        self._ids = {"run": plan.plan_id}
        found = f"{counted(len(catalog.sequences), 'sequence')} ({counted(catalog.read, 'file')} read)"
        base = f"on top of version {plan.base_version}" if plan.base_version else "for the first version"
        clips, frames = counted(plan.clip_count, "clip"), counted(plan.frame_count, "frame")
        work = (
            f"{clips}, {frames} to render in {counted(len(plan.shards), 'shard')}"
            if plan.clip_count
            else "nothing to render"
        )
        self.say(f"{found}: {work} {base}; {len(plan.reused):,} reused, {plan.dropped:,} dropped")
        for note in catalog.notes:
            self.note(note)
        if len(plan.excluded):
            self.say(
                f"not rendered again: {counted(len(plan.excluded), 'clip')} that failed before or did not pass"
                " `quality`; --retry-failed renders those that failed"
            )
        if plan.too_short:
            spans = counted(len(plan.too_short), "span")
            self.say(f"left out: {spans} too short for clips.lead_in: drop, the first is {plan.too_short[0]}")

    def resumed(self, clips: int) -> None:
        """Says how many clips an interrupted run has rendered already."""
        if clips:
            self.say(f"resuming an interrupted run: {counted(clips, 'clip')} already done")

    @contextmanager
    def task(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Shows a bar for a step of unknown length; the value is called with (done, total)."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self.live) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def rendering(self, frames: int) -> Iterator["RenderProgress"]:
        """Shows the progress of rendering ``frames`` frames."""
        progress = RenderProgress(self, frames)
        if not self.live:
            yield progress
            progress.print_end()
            return
        with Live(progress.view(), console=self.console, refresh_per_second=4) as view:
            progress.live = view
            yield progress
            view.update(progress.view())


class RenderProgress:
    """Shows clips, frames per second, time left, failures, and what each worker does."""

    def __init__(self, display: Display, frames: int) -> None:
        self.display, self.total = display, frames
        self.clips: Counter[str] = Counter()  # by outcome
        self.workers: Sequence[ShownWorker] = ()
        self.live: Live | None = None
        self._finished = self._frames = 0  # of finished shards; generated, also of shards that are not finished
        self._began_s = self._printed_s = time.monotonic()
        self._printed = self._printed_counts = ""
        self._bar = Progress(TextColumn("frames"), BarColumn(), MofNCompleteColumn(), auto_refresh=False)
        self._task: TaskID = self._bar.add_task("frames", total=frames)

    def finished(self, outcome: ShardOutcome) -> None:
        """Counts a shard that has ended, and names its clips that failed or were rejected."""
        self._finished += outcome.frames
        self.clips.update(type(clip).__name__.lower() for clip in outcome.clips)
        for clip in outcome.lost:
            ended = "failed" if isinstance(clip, Failed) else "rejected"
            ids = {"shard": outcome.shard_id, "clip": clip.clip_id, "kind": clip.kind}
            self.display.say(f"clip {clip.clip_id} {ended}: {clip.reason}", "warning", **ids)

    def update(self, workers: Sequence[ShownWorker]) -> None:
        """Shows how things stand: at once on a terminal, every few seconds elsewhere."""
        self.workers = workers
        if self.live:
            self.live.update(self.view())
        elif time.monotonic() - self._printed_s >= PLAIN_EVERY_S:
            self._print(f"{self._counts()}, {self._speed()}, {self._readiness()}")

    def print_end(self) -> None:
        """Prints the last line, unless the line before says the same."""
        if self._counts() != self._printed_counts:
            self._print(f"{self._counts()}, {self._speed()}")

    def view(self) -> Group:
        """Gives what a terminal shows: a bar, a summary and a row per worker."""
        counts = self._counts()
        self._bar.update(self._task, completed=self._frames)
        table = Table.grid(padding=(0, 2))
        for worker in self.workers[:WORKERS_SHOWN]:
            state = f"{counted(len(worker.attempts), 'shard')} in flight" if worker.name else "starting"
            restarts = counted(worker.deaths, "restart") if worker.deaths else ""
            table.add_row(printable(worker.name) or "worker", state, counted(worker.frames, "frame"), restarts)
        if len(self.workers) > WORKERS_SHOWN:
            table.add_row(f"and {counted(len(self.workers) - WORKERS_SHOWN, 'more worker')}")
        return Group(self._bar, f"{counts}, {self._speed()}, {self._readiness()}", table)

    def _print(self, text: str) -> None:
        self._printed_s = time.monotonic()
        if text != self._printed:
            self._printed, self._printed_counts = text, self._counts()
            self.display.say(text)

    def _counts(self) -> str:
        """Words how much is done. Frames never fall, though workers that are released take their counts along."""
        generated = max(self._finished, sum(worker.frames for worker in self.workers))
        self._frames = max(self._frames, min(self.total, generated))
        clips = [f"{counted(self.clips.total(), 'clip')} done"]
        clips += [f"{self.clips[ended]:,} {ended}" for ended in ("failed", "rejected") if self.clips[ended]]
        return f"{self._frames:,}/{self.total:,} frames, {', '.join(clips)}"

    def _speed(self) -> str:
        """Words frames per second, and the time left once enough is done to tell."""
        if not self._frames:
            return "starting"
        rate, left = self._frames / max(1e-6, time.monotonic() - self._began_s), self.total - self._frames
        speed = f"{rate:,.1f} frames/s" if rate >= 1 else f"{rate:.2f} frames/s"
        return speed + (f", {duration(left / rate)} left" if left and self._frames >= TELLING * self.total else "")

    def _readiness(self) -> str:
        ready = sum(bool(worker.name) for worker in self.workers)
        return f"{ready:,}/{counted(len(self.workers), 'worker')} ready"
