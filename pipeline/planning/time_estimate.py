"""Estimates how long a plan takes: from an earlier run of the same rendering, or from a stated assumption."""

import math
from dataclasses import dataclass

from flowreel.pipeline.dataset.runs import summary
from flowreel.pipeline.planning.prepare import Prepared

# Assumed where no run has measured: of a generator like the bundled one, on one worker.
SECONDS_PER_MEGAPIXEL = {"cuda": 0.5, "cpu": 8.0}


@dataclass(frozen=True)
class Estimate:
    """The work that is left, and how fast one worker is."""

    shards: int
    frames: int
    frames_per_worker_s: float
    source: str  # in words: where the speed comes from

    @property
    def worker_hours(self) -> float:
        """Gives the hours that one worker would take."""
        return self.frames / self.frames_per_worker_s / 3600

    def hours(self, workers: int) -> float:
        """Gives the hours that so many workers take: shards are not divided, so the last ones leave some workers
        idle."""
        if not self.shards:
            return 0.0
        return self.worker_hours * math.ceil(self.shards / workers) / self.shards


def estimate(prepared: Prepared) -> Estimate:
    """Estimates by the summaries of earlier runs. Raises StorageError if they cannot be read."""
    plan, settings = prepared.plan, prepared.plan.settings
    run = summary.measured(prepared.job.dataset, settings)
    if run:
        speed, source = run.frames_per_worker_s, f"as measured by the run of {run.started}"
    else:
        seconds = SECONDS_PER_MEGAPIXEL[settings.device] * settings.size[0] * settings.size[1] / 1e6
        speed, source = 1 / seconds, f"assumed ({SECONDS_PER_MEGAPIXEL[settings.device]:g} s a megapixel)"
    return Estimate(len(plan.shards), plan.frame_count, speed, source)
