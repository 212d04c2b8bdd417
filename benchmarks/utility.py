"""What a published dataset is worth: a segmenter trained on real frames, on the dataset, and on both.

    python -m benchmarks.utility REAL DATASET --test seq0004
    python -m benchmarks.utility REAL DATASET --test seq0004 --steps 20 --seeds 2 --size 64x32      # in short

REAL holds SEQUENCE/labels/*.png and SEQUENCE/images/*.jpg, or is a spec with a `source`; DATASET[@N] is a version that
Flowreel published. The small network, its steps and its seeds are the same in all three trainings, and all are tested
on real sequences that none of them was trained on. Only a generator that has not seen these either makes the test fair:
where its checkpoint does not say so, the table says that.

Intervals are 95 % of Student's t over the seeds: how much another seed would matter, not another test sequence.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.agreement import Agreement, agreement
from benchmarks.common import count, size
from benchmarks.real_video import RealData, RealVideo, open_data
from benchmarks.segmenter import ZOOM, Frame, SegmenterTraining
from flowreel.pipeline.dataset.versions import Version, open_version, split_uri
from flowreel.pipeline.quality.segmenter_network import SegmenterFacts
from flowreel.pipeline.reader import dataset
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import FlowreelError, UsageError

SURE = 0.95
REAL, SYNTHETIC, BOTH = "real", "synthetic", "both"


@dataclass(frozen=True)
class Interval:
    """A mean over seeds."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1%} [{self.low:.1%}, {self.high:.1%}]"


@dataclass(frozen=True)
class Trials:
    """What the trainings on one kind of frames came to: a result per seed."""

    frames: int
    found: list[Agreement]

    @property
    def mean_iou(self) -> list[float]:
        return [found.mean_iou for found in self.found]


def interval(values: Sequence[float]) -> Interval:
    """Raises ValueError for less than two values: they do not tell how far others would be."""
    if len(values) < 2:
        raise ValueError(f"{len(values)} value(s): an interval takes two at least")
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + SURE) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def trials(
    pools: dict[str, list[Frame]], tested: Sequence[RealVideo], facts: SegmenterFacts, steps: int, seeds: int
) -> dict[str, Trials]:
    """``pools``: REAL and SYNTHETIC. Tested on all videos together."""
    image_THW3 = np.concatenate([v.image_THW3 for v in tested])
    label_THW = np.concatenate([v.label_THW for v in tested])
    kinds = {REAL: [pools[REAL]], SYNTHETIC: [pools[SYNTHETIC]], BOTH: [pools[REAL], pools[SYNTHETIC]]}
    results: dict[str, list[Agreement]] = {kind: [] for kind in kinds}
    for seed in range(seeds):
        for kind, chosen in kinds.items():
            network = SegmenterTraining(facts, seed=seed).run_steps(chosen, steps)
            results[kind].append(agreement(network, image_THW3, label_THW))
            tell(f"seed {seed}, {kind}: mIoU {results[kind][-1].mean_iou:.1%}")
    return {kind: Trials(sum(map(len, chosen)), results[kind]) for kind, chosen in kinds.items()}


def real_frames(videos: Sequence[RealVideo]) -> list[Frame]:
    return [(v.image_THW3[t], v.label_THW[t]) for v in videos for t in range(len(v.image_THW3))]


def synthetic_frames(version: Version, data: RealData, most: int) -> list[Frame]:
    """At most ``most`` frames, evenly from all clips. Raises UsageError if the labels mean something else."""
    named = version.record.label_space["name"]
    if named != data.space.name:
        raise UsageError(f"{version.dataset.uri}: its label space is '{named}', the real one's is '{data.space.name}'")
    step = max(1, -(-version.record.counts.frames // most))
    frames = (
        (c.image_THW3[t], c.label_THW[t])
        for c in dataset.read_version(version).clips()
        for t in range(len(c.image_THW3))
    )
    return [frame for k, frame in enumerate(frames) if k % step == 0]


def table(found: dict[str, Trials]) -> str:
    """Markdown: a row per training, then what the dataset adds, seed by seed."""
    lines = ["| trained on | frames | mIoU | pixel accuracy |", "| --- | --- | --- | --- |"]
    for kind, of_kind in found.items():
        accuracy = interval([a.accuracy for a in of_kind.found])
        lines.append(f"| {kind} | {of_kind.frames:,} | {interval(of_kind.mean_iou)} | {accuracy} |")
    lines.append("")
    for kind in (SYNTHETIC, BOTH):
        gain = interval([a - b for a, b in zip(found[kind].mean_iou, found[REAL].mean_iou, strict=True)])
        lines.append(f"- {kind} less real: {gain} mIoU: {verdict(gain)}")
    return "\n".join(lines)


def verdict(gain: Interval) -> str:
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "no difference that these seeds show"


def unseen(version: Version, tested: Sequence[str]) -> str:
    """What the checkpoint says of the test sequences."""
    held_out = version.record.generator.get("config", {}).get("held_out", [])
    unsure = [name for name in tested if name not in held_out]
    told = f"the generator has not seen {', '.join(tested)}, says its checkpoint"
    return f"the generator may have seen {', '.join(unsure)}: its checkpoint does not say" if unsure else told


def run(args: argparse.Namespace) -> str:
    data = open_data(args.real, args.label_space)
    if not (train := [name for name in data.names if name not in args.test]):
        raise UsageError(f"{data.uri}: no sequence is left to train on; test on fewer")
    uri, number = split_uri(args.dataset)
    version = open_version(open_store(uri), number)
    zoomed = (ZOOM * args.size[0], ZOOM * args.size[1])
    pools = {REAL: real_frames(data.read(train, zoomed)), SYNTHETIC: synthetic_frames(version, data, args.most)}
    ignored = {c.id for c in data.space.classes if c.ignore}
    classes = sorted({int(i) for _, label_HW in pools[REAL] for i in np.unique(label_HW)} - ignored)
    facts = SegmenterFacts(label_space=data.space.name, classes=tuple(classes), size=args.size)
    found = trials(pools, data.read(args.test, args.size), facts, args.steps, args.seeds)
    head = (
        f"{args.steps} steps, {args.seeds} seeds, {args.size[0]}x{args.size[1]}, {len(classes)} classes; tested on"
        f" {', '.join(args.test)}; {unseen(version, args.test)}"
    )
    return f"{head}\n\n{table(found)}"


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", metavar="REAL")
    parser.add_argument("dataset", metavar="DATASET")
    parser.add_argument("--test", nargs="+", required=True, metavar="NAME", help="real sequences to test on")
    parser.add_argument("--steps", type=count, default=1500, help="of each training (1500)")
    parser.add_argument("--seeds", type=int, default=5, choices=range(2, 100), metavar="N", help="2 or more (5)")
    parser.add_argument("--size", type=size, default=(256, 128), metavar="WxH", help="of the frames (256x128)")
    parser.add_argument("--most", type=count, default=2000, metavar="N", help="synthetic frames at most (2000)")
    parser.add_argument("--label-space", default="cityscapes", help="of a folder; specs name their own (cityscapes)")
    try:
        print(run(parser.parse_args(given)))
    except FlowreelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
