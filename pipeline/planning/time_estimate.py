"""How long a plan takes: from what an earlier run of the same rendering took, or from a stated assumption."""

import math
from dataclasses import dataclass

from flowreel.pipeline.dataset.runs import summary
from flowreel.pipeline.planning.prepare import Prepared

# Assumed where no run has measured: of a generator like the bundled one, on one worker.
SECONDS_PER_MEGAPIXEL = {"cuda": 0.5, "cpu": 8.0}


@dataclass(frozen=True)
class Estimate:
    """What is left to render, and how fast one worker is."""

    shards: int
    frames: int
    frames_per_worker_s: float
    source: str  # for people: what the speed was taken from

    @property
    def worker_hours(self) -> float:
        return self.frames / self.frames_per_worker_s / 3600

    def hours(self, workers: int) -> float:
        """With so many at once: shards are not divided, so the last ones leave some workers idle."""
        if not self.shards:
            return 0.0
        return self.worker_hours * math.ceil(self.shards / workers) / self.shards


def estimate(prepared: Prepared) -> Estimate:
    """Reads the summaries of earlier runs; raises StorageError if they cannot be read."""
    plan, settings = prepared.plan, prepared.plan.settings
    run = summary.measured(prepared.job.dataset, settings)
    if run:
        speed, source = run.frames_per_worker_s, f"as measured by the run of {run.started}"
    else:
        seconds = SECONDS_PER_MEGAPIXEL[settings.device] * settings.size[0] * settings.size[1] / 1e6
        speed, source = 1 / seconds, f"assumed ({SECONDS_PER_MEGAPIXEL[settings.device]:g} s a megapixel)"
    return Estimate(len(plan.shards), plan.frame_count, speed, source)
