"""A renderer that sleeps as a real one would and writes the real record of each shard. No PyTorch in here."""

import hashlib
import threading
import time
from dataclasses import dataclass, field

from flowreel.pipeline.dataset.data_file import path_of
from flowreel.pipeline.dataset.runs.records import save_outcome
from flowreel.pipeline.render.job import RenderJob, Tick
from flowreel.schemas.clip import Shard
from flowreel.schemas.outcome import DataFile, Rendered, ShardOutcome

ASIDE = 0.25  # fetching, and encoding with writing: seconds per second on the device


@dataclass(frozen=True)
class Sleeping:
    """For workers: opens a renderer whose device is busy for ``shard_s`` seconds a shard."""

    shard_s: float

    def __call__(self, job: RenderJob, plan_id: str, tick: Tick) -> "SleepingRenderer":
        return SleepingRenderer(job, plan_id, tick, self.shard_s)


@dataclass
class SleepingRenderer:
    """One shard is on the device at a time, as on a GPU."""

    job: RenderJob
    plan_id: str
    tick: Tick
    shard_s: float
    device: threading.Lock = field(default_factory=threading.Lock)

    def render(self, shard: Shard, worker: str) -> ShardOutcome:
        began = time.time()
        time.sleep(self.shard_s * ASIDE)
        with self.device:
            time.sleep(self.shard_s)
        self.tick(shard.frame_count)
        time.sleep(self.shard_s * ASIDE)
        seconds = {"fetch": ASIDE, "generate": 1.0, "encode": ASIDE / 2, "write": ASIDE / 2}
        seconds = {stage: round(share * self.shard_s, 4) for stage, share in seconds.items()}
        clips = tuple(Rendered(clip.clip_id, len(clip.frames)) for clip in shard.clips)
        file = DataFile(path_of(shard.shard_id), 10**6, hashlib.sha256(shard.shard_id.encode()).hexdigest())
        outcome = ShardOutcome(shard.shard_id, file, clips, worker, seconds, began, time.time())
        save_outcome(self.job.dataset, self.plan_id, outcome)
        return outcome
