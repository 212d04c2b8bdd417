"""What people see while a command works: rich bars on a terminal, plain lines elsewhere. All of it goes to stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from flowreel.jobs.terminal.json_logs import json_wanted, line
from flowreel.schemas.outcome import Failed, ShardOutcome

if TYPE_CHECKING:  # Ray and pyarrow: only where something is planned or rendered
    from flowreel.jobs.engine.dispatch import Worker
    from flowreel.pipeline.planning.prepare import Prepared

PLAIN_EVERY_S = 5.0
WORKERS_SHOWN = 8


class Display:
    """Where a command's progress goes; nowhere if ``quiet``."""

    def __init__(self, quiet: bool = False) -> None:
        self.console, self.quiet = Console(stderr=True, highlight=False), quiet
        self.json = json_wanted()
        self._ids: dict[str, str] = {}

    @property
    def live(self) -> bool:
        return self.console.is_terminal and not self.json and not self.quiet

    def say(self, text: str, level: str = "info", **ids: str) -> None:
        """``ids``: of what it is about, for JSON lines."""
        if self.quiet:
            return
        if self.live:
            self.console.print(escape(text))
        else:
            print(line(level, text, self._ids | ids) if self.json else text, file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        self.say(f"note: {text}", "warning")

    def planned(self, prepared: "Prepared") -> None:
        plan, catalog = prepared.plan, prepared.catalog
        self._ids = {"run": plan.plan_id}
        on_top = f"on top of version {plan.base_version}" if plan.base_version else "for a first version"
        self.say(
            f"{len(catalog.sequences):,} sequences ({catalog.read:,} files read): {plan.clip_count:,} clips,"
            f" {plan.frame_count:,} frames to render in {len(plan.shards):,} shards {on_top};"
            f" {len(plan.reused):,} clips reused, {plan.dropped:,} dropped"
        )
        if len(plan.excluded):
            self.say(
                f"{len(plan.excluded):,} clips are not tried: the newest version lost them, or `quality` does"
                " not let them pass; --retry-failed tries those that failed"
            )
        if plan.too_short:
            self.say(f"{len(plan.too_short)} piece(s) too short for `lead_in: drop`, first: {plan.too_short[0]}")

    def resumed(self, clips: int) -> None:
        if clips:
            self.say(f"an interrupted run is continued: {clips:,} clips are done already")

    @contextmanager
    def task(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """A bar for a step of unknown length; the value is called with (done, total)."""
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
        progress = RenderProgress(self, frames)
        if not self.live:
            yield progress
            progress.line()
            return
        with Live(progress.view(), console=self.console, refresh_per_second=4) as view:
            progress.live = view
            yield progress


class RenderProgress:
    """Clips, frames/s, ETA, failures and what each worker does."""

    def __init__(self, display: Display, frames: int) -> None:
        self.display, self.total = display, frames
        self.clips = self.done = self.lost = self.failed = 0
        self.workers: list[Worker] = []
        self.began = self.said = time.monotonic()
        self.live: Live | None = None
        self.bar = Progress(TextColumn("frames"), BarColumn(), MofNCompleteColumn(), auto_refresh=False)
        self.task: TaskID = self.bar.add_task("frames", total=frames)

    def finished(self, outcome: ShardOutcome) -> None:
        self.done += outcome.frames
        self.clips += len(outcome.clips)
        self.lost += len(outcome.lost)
        for loss in outcome.lost:
            kind = "failed" if isinstance(loss, Failed) else "rejected"
            ids = {"shard": outcome.shard_id, "clip": loss.clip_id, "kind": loss.kind}
            self.display.say(f"clip {loss.clip_id} {kind}: {loss.reason}", "warning", **ids)

    def beat(self, workers: "list[Worker]") -> None:
        self.workers = workers
        if self.live:
            self.live.update(self.view())
        elif time.monotonic() - self.said >= PLAIN_EVERY_S:
            self.line()

    def line(self) -> None:
        self.said = time.monotonic()
        self.display.say(f"{self._seen():,}/{self.total:,} frames, {self.summary()}")

    def summary(self) -> str:
        seconds = max(1e-6, time.monotonic() - self.began)
        rate = self._seen() / seconds
        left = f"{(self.total - self._seen()) / rate:.0f} s left" if rate > 0 else "starting"
        ready = sum(bool(w.name) for w in self.workers)
        return (
            f"{self.clips:,} clips done, {self.lost:,} lost, {rate:.1f} frames/s, {left},"
            f" {ready}/{len(self.workers)} workers ready"
        )

    def view(self) -> Group:
        self.bar.update(self.task, completed=self._seen())
        table = Table.grid(padding=(0, 2))
        for worker in self.workers[:WORKERS_SHOWN]:
            state = f"{len(worker.attempts)} shards in flight" if worker.name else "starting"
            deaths = f"restarted {worker.deaths}x" if worker.deaths else ""
            table.add_row(worker.name or "worker", state, f"{worker.frames:,} frames", deaths)
        if len(self.workers) > WORKERS_SHOWN:
            table.add_row(f"and {len(self.workers) - WORKERS_SHOWN} more workers")
        return Group(self.bar, self.summary(), table)

    def _seen(self) -> int:
        """Frames generated, also of shards that are not finished."""
        return min(self.total, max(self.done, sum(w.frames for w in self.workers)))
