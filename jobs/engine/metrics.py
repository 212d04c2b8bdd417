"""Metrics of a run for Prometheus: counted where things happen, exported by Ray on every node with the prefix `ray_`.

Counters end in `_total` there, histograms in `_bucket`, `_sum` and `_count`. All carry the dataset's name.
"""

from collections import Counter as Counts
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ray.util.metrics import Counter, Gauge, Histogram

from flowreel.schemas.outcome import ShardOutcome

if TYPE_CHECKING:
    from flowreel.jobs.engine.worker import Worker

STAGE_S = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]


@dataclass(frozen=True)
class Described:
    """The declaration of a metric."""

    kind: Literal["counter", "gauge", "histogram"]
    text: str
    tag: str = ""  # beside `dataset`

    def exported(self, name: str) -> tuple[str, ...]:
        """Gives the names that a scrape shows."""
        ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
        return tuple(f"ray_{name}{end}" for end in ends[self.kind])


METRICS = {
    "flowreel_frames": Described("counter", "Frames generated, also of shards that are not finished"),
    "flowreel_device_busy_seconds": Described("counter", "Time that the device generated, averaged over its lanes"),
    "flowreel_stage_seconds": Described("histogram", "Time that a shard took in a stage", "stage"),
    "flowreel_written_bytes": Described("counter", "Data files written"),
    "flowreel_clips": Described("counter", "Clips that have ended: rendered, rejected, failed", "outcome"),
    "flowreel_losses": Described("counter", "Clips rejected or failed, by the kind of reason", "reason"),
    "flowreel_shards": Described("gauge", "Shards left: waiting, running", "state"),
    "flowreel_workers": Described("gauge", "Workers: ready, starting (or waiting for a node)", "state"),
    "flowreel_worker_restarts": Described("counter", "Workers that died and were started again"),
}


class WorkerMetrics:
    """Counts what only a worker knows, in its own process."""

    def __init__(self, dataset: str, lanes: int) -> None:
        """Declares the metrics. ``lanes``: shards that are generated at once."""
        self._lanes = lanes
        self._frames = _make("flowreel_frames", dataset)
        self._busy = _make("flowreel_device_busy_seconds", dataset)
        self._stage = _make("flowreel_stage_seconds", dataset)
        self._bytes = _make("flowreel_written_bytes", dataset)

    def generated(self, frames: int) -> None:
        """Counts frames that have just been generated."""
        self._frames.inc(frames)

    def finished(self, outcome: ShardOutcome) -> None:
        """Counts what a shard took and wrote."""
        for stage, seconds in outcome.seconds.items():
            self._stage.observe(seconds, {"stage": stage})
        if busy := outcome.seconds.get("generate"):
            self._busy.inc(busy / self._lanes)
        if outcome.file and outcome.seconds:  # without seconds it had been written before
            self._bytes.inc(outcome.file.size)


class DriverMetrics:
    """Counts what only the driver knows: shards that wait, workers, and how clips ended."""

    def __init__(self, dataset: str, shards: int) -> None:
        """Declares the metrics. ``shards``: number of shards to render."""
        self._clips, self._losses = _make("flowreel_clips", dataset), _make("flowreel_losses", dataset)
        self._shards, self._workers = _make("flowreel_shards", dataset), _make("flowreel_workers", dataset)
        self._restarts, self._deaths = _make("flowreel_worker_restarts", dataset), dict[int, int]()
        self._left = shards

    def finished(self, outcome: ShardOutcome) -> None:
        """Counts how the clips of a shard ended."""
        self._left -= 1
        for kind, count in Counts(type(clip).__name__.lower() for clip in outcome.clips).items():
            self._clips.inc(count, {"outcome": kind})
        for reason, count in Counts(clip.kind for clip in outcome.lost).items():
            self._losses.inc(count, {"reason": reason})

    def observe(self, workers: "list[Worker]") -> None:
        """Sets the gauges to how things stand; called every second or so."""
        running = sum(len(worker.attempts) for worker in workers)
        self._shards.set(running, {"state": "running"})
        self._shards.set(max(0, self._left - running), {"state": "waiting"})
        ready = sum(bool(worker.name) for worker in workers)
        self._workers.set(ready, {"state": "ready"})
        self._workers.set(len(workers) - ready, {"state": "starting"})
        for worker in workers:
            if new := worker.deaths - self._deaths.get(id(worker), 0):
                self._restarts.inc(new)
                self._deaths[id(worker)] = worker.deaths


def _make(name: str, dataset: str) -> Any:
    declared = METRICS[name]
    tags = ("dataset", declared.tag) if declared.tag else ("dataset",)
    if declared.kind == "histogram":
        metric: Any = Histogram(name, declared.text, STAGE_S, tags)
    else:
        metric = {"counter": Counter, "gauge": Gauge}[declared.kind](name, declared.text, tags)
    return metric.set_default_tags({"dataset": dataset})
