"""What a run took: summed up from the outcomes of its shards, kept in the dataset, used by the estimates of later
plans."""

import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from flowreel.pipeline.dataset import layout
from flowreel.pipeline.storage import NotFound, Store
from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.run import RunSummary

FOLDER = layout.SUMMARIES
KEPT = 100  # newest summaries of a dataset


class Tally:
    """Sums over the outcomes of a run, as they arrive."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self.frames = self.bytes = 0
        self.clips: Counter[str] = Counter(rendered=0, rejected=0, failed=0)
        self.unpublished: Counter[str] = Counter()
        self.stage_seconds: Counter[str] = Counter()
        self._busy: dict[str, tuple[float, float]] = {}  # by worker: begin of its first shard, end of its last

    def add(self, outcome: ShardOutcome) -> None:
        """Counts a shard that has just ended."""
        self.frames += outcome.frames
        self.bytes += outcome.file.size if outcome.file else 0
        self.clips.update(type(clip).__name__.lower() for clip in outcome.clips)
        self.unpublished.update(clip.kind for clip in outcome.lost)
        self.stage_seconds.update(outcome.seconds)
        if outcome.seconds:  # else it was recorded by an earlier run
            now = time.monotonic()
            begin, _ = self._busy.get(outcome.worker, (now - sum(outcome.seconds.values()), now))
            self._busy[outcome.worker] = begin, now

    def figures(self) -> dict[str, Any]:
        """Gives the fields of a `RunSummary` that are summed up here."""
        return {
            "workers": len(self._busy),
            "worker_seconds": round(sum(end - begin for begin, end in self._busy.values()), 3),
            "frames": self.frames,
            "clips": dict(self.clips),
            "losses": dict(self.unpublished),
            "bytes": self.bytes,
            "stage_seconds": {stage: round(seconds, 3) for stage, seconds in self.stage_seconds.items()},
        }


def save(dataset: Store, summary: RunSummary) -> None:
    """Saves a summary, and deletes the oldest ones beyond `KEPT`."""
    begun = datetime.fromisoformat(summary.started).strftime("%Y%m%dT%H%M%SZ")
    dataset.write(layout.SUMMARY.format(begun=begun, plan=summary.plan_id), summary.model_dump_json(indent=2).encode())
    dataset.delete(*_newest_first(dataset)[KEPT:])


def measured(dataset: Store, settings: RenderSettings) -> RunSummary | None:
    """Finds the newest run that rendered with the same generator, size, precision and kind of device; None without."""
    for path in _newest_first(dataset):
        try:
            summary = RunSummary.model_validate_json(dataset.read(path))
        except (NotFound, ValidationError):  # dropped meanwhile; or of another release
            continue
        if _key(summary.settings) == _key(settings) and summary.frames_per_worker_s:
            return summary
    return None


def _newest_first(dataset: Store) -> list[str]:
    """Lists the paths of all summaries."""
    return sorted((info.path for info in dataset.list(FOLDER)), reverse=True)


def _key(settings: RenderSettings) -> tuple[object, ...]:
    """Gives the settings that decide how fast a run is."""
    return settings.generator, tuple(settings.size), settings.precision, settings.device
