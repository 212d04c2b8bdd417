"""Records of runs: ``runs/<plan_id>/run.json`` of one that has not ended, and the summary of one that has,
``runs/summaries/<started>-<plan_id>.json``."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Long, Time
from flowreel.schemas.plan import RenderSettings


class RunFacts(BaseModel):
    """What is recorded of a run when it begins, for `flowreel status`. Earlier releases record less."""

    model_config = ConfigDict(frozen=True)

    started: str = "?"
    host: str = "?"
    clips: Long = 0
    frames: Long = 0
    shards: Long = 0


class LeaseRecord(Model):
    """The lease of a run or a garbage collector, ``runs/leases/*.json`` and ``runs/sweeps/*.json``: what it needs."""

    beat: Long  # counts renewals
    plan_ids: tuple[str, ...]
    files: tuple[str, ...]


class RunSummary(Model):
    """What a run did and what it took, for operators and for the estimates of later plans."""

    plan_id: str
    dataset: str  # uri
    started: str  # UTC, ISO 8601
    seconds: Time  # from the plan to the end
    host: str  # of the driver
    exit: int  # code of the command
    version: int | None  # the newest version at the end
    published: bool  # by this run
    settings: RenderSettings
    num_gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)]  # of a worker
    num_cpus: Long
    workers: Long  # that finished a shard
    worker_seconds: Time  # from each one's first shard's begin to its last one's end
    frames: Long  # rendered by this run; so are the figures below
    clips: dict[str, int]  # by outcome: rendered, rejected, failed
    losses: dict[str, int]  # rejected and failed clips by the kind of reason
    bytes: Long  # of data files
    stage_seconds: dict[str, Time]  # summed over shards

    @property
    def frames_per_worker_s(self) -> float:
        """Gives the frames a second of one worker, waiting for storage included; 0 if nothing was rendered."""
        return self.frames / self.worker_seconds if self.worker_seconds > 1e-6 else 0.0
