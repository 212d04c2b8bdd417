"""What measuring the quality of clips costs, against rendering them.

    python -m benchmarks.cost_of_measures                              # the bundled generator at 512x256, on this CPU
    python -m benchmarks.cost_of_measures --size 256x128 --frames 4 --rounds 1

Processor time of this process, so that what else the machine does counts little: rendering and each measure in turn,
round by round, and the least of the rounds of each.
"""

import argparse
import sys
import time
from collections.abc import Callable

import torch

from benchmarks.common import count, size
from benchmarks.subject import Subject, build_generator, make_clips
from flowreel.pipeline.generator.checkpoint import BUNDLED
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import engine_for
from flowreel.pipeline.quality.frame_stats import drift, frame_stats
from flowreel.pipeline.quality.label_edges import frozen, label_edges
from flowreel.pipeline.quality.measure import measure
from flowreel.pipeline.quality.motion import motion
from flowreel.pipeline.quality.perceptual_hash import phash
from flowreel.schemas.errors import FlowreelError

FPS = 17


def costs(subject: Subject, frames: int, rounds: int) -> dict[str, float]:
    """Milliseconds of processor time per frame: `render`, `all measures`, and the measures one by one."""
    generator = build_generator(subject)
    (clip,) = make_clips(subject, generator.config, 1, frames)
    engine = engine_for(generator)
    image_THW3 = render_clips(engine, [clip], RenderOptions())[0].image_THW3
    label_THW = clip.label_THW
    pairs = list(zip(image_THW3, label_THW, strict=True))
    timed: dict[str, Callable[[], object]] = {
        "render": lambda: render_clips(engine, [clip], RenderOptions()),
        "all measures": lambda: measure(image_THW3, label_THW, FPS),
        "warp error and flicker": lambda: motion(image_THW3),
        "sharpness, contrast, saturation": lambda: [frame_stats(image) for image in image_THW3],
        "drift": lambda: drift(image_THW3, FPS),
        "label edges": lambda: [label_edges(image, label) for image, label in pairs],
        "frozen": lambda: frozen(image_THW3, label_THW),
        "perceptual hash": lambda: [phash(image) for image in image_THW3],
    }
    spent = {name: float("inf") for name in timed}
    for _ in range(rounds):
        for name, call in timed.items():
            began = time.process_time()
            call()
            spent[name] = min(spent[name], (time.process_time() - began) * 1000 / frames)
    return spent


def table(spent: dict[str, float]) -> str:
    rows = [f"| {name} | {ms:.2f} | {ms / spent['render']:.1%} |" for name, ms in spent.items()]
    return "\n".join(["| | ms of processor time per frame | of rendering |", "| --- | --- | --- |", *rows])


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=BUNDLED, help="place of a checkpoint (bundled)")
    parser.add_argument("--size", type=size, default=(512, 256), metavar="WxH", help="of the frames (512x256)")
    parser.add_argument("--frames", type=count, default=8, help="of the clip (8)")
    parser.add_argument("--rounds", type=count, default=3)
    args = parser.parse_args(given)
    try:
        spent = costs(Subject("", args.size, args.checkpoint), args.frames, args.rounds)
    except FlowreelError as error:
        sys.exit(str(error))
    width, height = args.size
    print(f"checkpoint `{args.checkpoint}`, {width}x{height}, {torch.get_num_threads()} threads\n\n{table(spent)}")


if __name__ == "__main__":
    main()
