"""The summary of a run that has ended, ``runs/summaries/<started>-<plan_id>.json``."""

from flowreel.schemas.model import Model
from flowreel.schemas.plan import RenderSettings


class RunSummary(Model):
    """What a run did and what it took, for operators and for the estimates of later plans."""

    plan_id: str
    dataset: str  # uri
    started: str  # UTC, ISO 8601
    seconds: float  # from the plan to the end
    host: str  # of the driver
    exit: int  # code of the command
    version: int | None  # the newest version at the end
    published: bool  # by this run
    settings: RenderSettings
    num_gpus: float  # of a worker
    num_cpus: int
    workers: int  # that finished a shard
    worker_seconds: float  # from each one's first shard's begin to its last one's end
    frames: int  # rendered by this run; so are the figures below
    clips: dict[str, int]  # by outcome: rendered, rejected, failed
    losses: dict[str, int]  # rejected and failed clips by the kind of reason
    bytes: int  # of data files
    stage_seconds: dict[str, float]  # summed over shards

    @property
    def frames_per_worker_s(self) -> float:
        """Gives the frames a second of one worker, waiting for storage included; 0 if nothing was rendered."""
        return self.frames / self.worker_seconds if self.worker_seconds else 0.0
