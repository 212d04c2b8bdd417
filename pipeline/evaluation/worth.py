"""What a published dataset is worth: a segmenter trained on real frames, on the dataset, and on both.

The small network, its steps and its seeds are the same in all three trainings, and all are tested on real sequences
that none of them was trained on. The test is only fair if the generator has not seen these either: where its checkpoint
does not say so, the table says that.

Intervals are 95 % of Student's t over the seeds: how much another seed would matter, not another test sequence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from flowreel.pipeline.dataset.versions import Version, open_version, split_uri
from flowreel.pipeline.evaluation.agreement import Agreement, agreement
from flowreel.pipeline.evaluation.real_video import RealData, RealVideo, open_data
from flowreel.pipeline.evaluation.segmenter_training import ZOOM, Frame, SegmenterTraining, shown_classes
from flowreel.pipeline.quality.segmenter_network import SegmenterFacts
from flowreel.pipeline.reader.dataset import read_version
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import UsageError

SURE = 0.95
REAL, SYNTHETIC, BOTH = "real", "synthetic", "both"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """Says what is tried, and how; see `flowreel worth --help`."""

    real: str  # as `open_data` takes it
    dataset: str  # DATASET[@N]
    test: Sequence[str]  # real sequences to test on
    steps: int = 1500  # of each training
    seeds: int = 5  # at least 2
    size: tuple[int, int] = (256, 128)  # (width, height) of the frames
    max_frames: int = 2000  # synthetic ones
    label_space: str = "cityscapes"  # of a folder; specs name their own


@dataclass(frozen=True)
class Interval:
    """Holds a mean over seeds, and the bounds of its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1%} [{self.low:.1%}, {self.high:.1%}]"


@dataclass(frozen=True)
class Trials:
    """Holds what the trainings on one kind of frames came to: a result per seed."""

    frames: int
    found: list[Agreement]

    @property
    def mean_iou(self) -> list[float]:
        return [found.mean_iou for found in self.found]


def interval(values: Sequence[float]) -> Interval:
    """Gives the interval of the mean. Raises ValueError for fewer than two values, which do not tell their spread."""
    if len(values) < 2:
        raise ValueError(f"{len(values)} value(s): an interval takes two at least")
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + SURE) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def run_trials(
    pools: dict[str, list[Frame]], tested: Sequence[RealVideo], facts: SegmenterFacts, request: Request, tell: Tell
) -> dict[str, Trials]:
    """Trains on each kind of frames with each seed, and tests on all videos together. ``pools``: REAL and SYNTHETIC."""
    image_THW3 = np.concatenate([v.image_THW3 for v in tested])
    label_THW = np.concatenate([v.label_THW for v in tested])
    kinds = {REAL: [pools[REAL]], SYNTHETIC: [pools[SYNTHETIC]], BOTH: [pools[REAL], pools[SYNTHETIC]]}
    results: dict[str, list[Agreement]] = {kind: [] for kind in kinds}
    for seed in range(request.seeds):
        for kind, chosen in kinds.items():
            network = SegmenterTraining(facts, seed=seed).run_steps(chosen, request.steps)
            results[kind].append(agreement(network, image_THW3, label_THW))
            tell(f"seed {seed + 1} of {request.seeds}, {kind}: mIoU {results[kind][-1].mean_iou:.1%}")
    return {kind: Trials(sum(map(len, chosen)), results[kind]) for kind, chosen in kinds.items()}


def real_frames(videos: Sequence[RealVideo]) -> list[Frame]:
    """Gives all frames of all videos."""
    return [(v.image_THW3[t], v.label_THW[t]) for v in videos for t in range(len(v.image_THW3))]


def synthetic_frames(version: Version, data: RealData, most: int) -> list[Frame]:
    """Gives at most ``most`` frames, evenly from all clips. Raises UsageError if the labels mean something else."""
    named = version.record.label_space["name"]
    if named != data.space.name:
        raise UsageError(f"{version.dataset.uri} has label space '{named}', the real data has '{data.space.name}'")
    step = max(1, -(-version.record.counts.frames // most))
    frames = (
        (c.image_THW3[t], c.label_THW[t]) for c in read_version(version).clips() for t in range(len(c.image_THW3))
    )
    return [frame for k, frame in enumerate(frames) if k % step == 0]


def table(found: dict[str, Trials]) -> str:
    """Gives Markdown: a row per training, then what the dataset adds, seed by seed."""
    lines = ["| trained on | frames | mIoU | pixel accuracy |", "| --- | --- | --- | --- |"]
    for kind, of_kind in found.items():
        accuracy = interval([a.accuracy for a in of_kind.found])
        lines.append(f"| {kind} | {of_kind.frames:,} | {interval(of_kind.mean_iou)} | {accuracy} |")
    lines.append("")
    for kind in (SYNTHETIC, BOTH):
        gain = interval([a - b for a, b in zip(found[kind].mean_iou, found[REAL].mean_iou, strict=True)])
        lines.append(f"- {kind} minus real: {gain} mIoU: {verdict(gain)}")
    return "\n".join(lines)


def verdict(gain: Interval) -> str:
    """Says whether the interval is above or below zero."""
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "no difference that these seeds show"


def unseen(version: Version, tested: Sequence[str]) -> str:
    """Says what the dataset's checkpoint says of the test sequences."""
    held_out = version.record.generator.get("config", {}).get("held_out", [])
    unsure = [name for name in tested if name not in held_out]
    told = f"according to its checkpoint, the generator has not seen {', '.join(tested)}"
    return f"the generator may have seen {', '.join(unsure)}: its checkpoint does not say" if unsure else told


def measure_worth(request: Request, tell: Tell) -> str:
    """Trains and tests all; gives the circumstances and the table as Markdown. ``tell`` hears of each training.

    Raises UsageError for data that do not fit each other, or sequences that do not exist.
    """
    data, size = open_data(request.real, request.label_space), request.size
    tested = data.read(request.test, size)
    if not (train := [name for name in data.names if name not in request.test]):
        raise UsageError(f"{data.uri}: no sequence is left to train on; test on fewer")
    uri, number = split_uri(request.dataset)
    version = open_version(open_store(uri), number)
    shown = data.read(train, (ZOOM * size[0], ZOOM * size[1]))
    classes = shown_classes(data, train, shown)
    facts = SegmenterFacts(label_space=data.space.name, classes=classes, size=size)
    pools = {REAL: real_frames(shown), SYNTHETIC: synthetic_frames(version, data, request.max_frames)}
    found = run_trials(pools, tested, facts, request, tell)
    head = (
        f"{request.steps} steps, {request.seeds} seeds, {size[0]}x{size[1]}, {len(classes)} classes; tested on"
        f" {', '.join(request.test)}; {unseen(version, request.test)}"
    )
    return f"{head}\n\n{table(found)}"
