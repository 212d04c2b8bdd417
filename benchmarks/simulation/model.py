"""A cost model of a run, fitted to simulated ones: driver time = fixed per second + per shard + per worker and second.

Planning and publishing are proportional to frames and clips; what they take is measured by `benchmarks.scale`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.simulation.run import Stage, Start
from flowreel.pipeline.planning.planner import SHARD_FRAMES


@dataclass(frozen=True)
class Costs:
    """CPU seconds of the driver."""

    per_second: float  # whatever happens
    per_shard: float
    per_worker_second: float
    per_start: float  # of a worker, once


@dataclass(frozen=True)
class Run:
    """A run to be predicted."""

    workers: int
    clips: int
    frames_per_clip: int
    frames_per_s: float  # of one worker
    frames_per_shard: int = SHARD_FRAMES["cuda"]

    @property
    def frames(self) -> int:
        return self.clips * self.frames_per_clip

    @property
    def shards(self) -> int:
        return -(-self.clips // max(1, self.frames_per_shard // self.frames_per_clip))

    @property
    def render_s(self) -> float:
        """If all workers are always busy."""
        return self.frames / self.frames_per_s / self.workers


def fitted(stages: Sequence[Stage], starts: Sequence[Start]) -> Costs:
    """Least squares of relative errors; what would come out below zero is left out."""
    rows = np.array([[s.wall_s, s.shards, s.actors * s.wall_s] for s in stages]) / [[s.driver_cpu_s] for s in stages]
    kept = [0, 1, 2]
    while True:
        found, *_ = np.linalg.lstsq(rows[:, kept], np.ones(len(rows)), rcond=None)
        if (found >= 0).all():
            break
        kept.pop(int(found.argmin()))
    values = dict(zip(kept, found.tolist(), strict=True))
    start = sum(s.driver_cpu_s for s in starts) / sum(s.actors for s in starts)
    return Costs(values.get(0, 0.0), values.get(1, 0.0), values.get(2, 0.0), start)


def driver_share(run: Run, costs: Costs) -> float:
    """Of one CPU, that the driver needs while it renders; above 1 it would hold its workers up."""
    return costs.per_second + costs.per_shard * run.shards / run.render_s + costs.per_worker_second * run.workers


def predicted_cpu_s(stage: Stage, costs: Costs) -> float:
    """Of the driver, for a run that was measured."""
    worker_s = stage.actors * stage.wall_s
    return costs.per_second * stage.wall_s + costs.per_shard * stage.shards + costs.per_worker_second * worker_s
