"""The bare generator: label maps in memory -> frames in memory, by the engine and settings of a worker."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import torch

from benchmarks.throughput.told import Told
from benchmarks.throughput.work import Work, read_work
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import load_engine
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.render.fetch import fetch_clip


def run(work: Work, at_once: bool = False) -> Told:
    """One clip after the other; ``at_once``: as many at a time as a worker."""
    spec = work.spec()
    torch.set_num_threads(spec.execution.num_cpus)
    prepared = prepare(spec, dry=True)
    job = prepared.job
    clips = [fetch_clip(clip, job).conditioning for shard in prepared.plan.shards for clip in shard.clips]
    engine, how = load_engine(job.checkpoint, job.settings), RenderOptions(spec.clips.lead_in, spec.output.flow)
    told = Told(time.time())

    def render(clip: Conditioning) -> None:
        (frames,) = render_clips(engine, [clip], how)
        told.done.append((time.time(), len(frames.image_THW3)))

    if not at_once:  # in this thread: the networks' loops answer sooner in it
        for clip in clips:
            render(clip)
        return told
    torch.set_num_threads(job.lanes.threads)
    with ThreadPoolExecutor(job.lanes.count) as lanes:
        list(lanes.map(render, clips))
    return told


if __name__ == "__main__":
    run(read_work(sys.argv[1])).tell()
