"""An alternative: one process that loads, renders and writes PNGs, clip by clip."""

import sys
import time

from benchmarks.throughput.files import open_files
from benchmarks.throughput.told import Told
from benchmarks.throughput.work import Work, read_work
from flowreel.pipeline.generator.checkpoint import checkpoint_store, read_checkpoint
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import engine_for
from flowreel.pipeline.generator.loading import load_generator


def run(work: Work) -> Told:
    files = open_files(work)
    engine = engine_for(load_generator(read_checkpoint(checkpoint_store(work.checkpoint, {})), "cpu"))
    told = Told(time.time())
    for sequence in files.sequences():
        maps = files.load(sequence)
        (frames,) = render_clips(engine, [maps], RenderOptions())
        files.save(sequence, frames.image_THW3, maps, "png")
        told.done.append((time.time(), len(frames.image_THW3)))
    return told


if __name__ == "__main__":
    run(read_work(sys.argv[1])).tell()
