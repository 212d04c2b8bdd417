"""An alternative: a Ray Data pipeline; each actor of its pool loads, renders and writes images and labels."""

import sys
import time
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from benchmarks.throughput.files import open_files
from benchmarks.throughput.told import Told
from benchmarks.throughput.work import Work, read_work
from flowreel.pipeline.generator.checkpoint import checkpoint_store, read_checkpoint
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import engine_for
from flowreel.pipeline.generator.loading import load_generator


class Renderer:
    """An actor."""

    def __init__(self, work: Work) -> None:
        self.files = open_files(work)
        self.engine = engine_for(load_generator(read_checkpoint(checkpoint_store(work.checkpoint, {})), "cpu"))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        done: dict[str, list[Any]] = {"began": [], "done": [], "frames": []}
        for sequence in batch["item"]:
            done["began"].append(time.time())
            maps = self.files.load(sequence)
            (frames,) = render_clips(self.engine, [maps], RenderOptions())
            self.files.save(sequence, frames.image_THW3, maps, "jpg")
            done["done"].append(time.time())
            done["frames"].append(len(frames.image_THW3))
        return done


def run(work: Work) -> Told:
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    DataContext.get_current().enable_progress_bars = False
    sequences = open_files(work).sequences()
    clips = ray.data.from_items(sequences, override_num_blocks=len(sequences)).map_batches(
        Renderer,
        fn_constructor_args=(work,),
        batch_size=1,
        compute=ActorPoolStrategy(size=1),
        num_cpus=work.cpus,
    )
    rows = sorted(clips.take_all(), key=lambda row: row["done"])
    return Told(rows[0]["began"], [(row["done"], row["frames"]) for row in rows])


if __name__ == "__main__":
    run(read_work(sys.argv[1])).tell()
    ray.shutdown()
