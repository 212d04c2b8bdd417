"""The bare generator: label maps in memory -> frames in memory, by the engine, settings and threads of a worker."""

import sys
import time

import torch

from benchmarks.throughput.told import Told
from benchmarks.throughput.work import Work, read_work
from pipeline.clip_source import fetch_clip
from pipeline.generator.clips import How, render_clips
from pipeline.generator.engine import load_engine
from pipeline.prepare import prepare


def run(work: Work) -> Told:
    spec = work.spec()
    torch.set_num_threads(spec.execution.num_cpus)
    prepared = prepare(spec, dry=True)
    job = prepared.job
    clips = [fetch_clip(clip, job).conditioning for shard in prepared.plan.shards for clip in shard.clips]
    engine, told = load_engine(job.checkpoint, job.settings), Told(time.time())
    for clip in clips:
        (frames,) = render_clips(engine, [clip], How(spec.clips.lead_in, spec.output.flow))
        told.done.append((time.time(), len(frames.image_THW3)))
    return told


if __name__ == "__main__":
    run(read_work(sys.argv[1])).tell()
