"""What the benchmark of quality compares, on what: loaded and checked before anything is rendered."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.methods import Method, Rgb, load, open_checkpoint, size_of
from benchmarks.real_video import RealData, RealVideo, open_data
from benchmarks.segmenter import Tell, train_segmenter
from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.quality.segmenter_network import Segmenter, load_segmenter
from flowreel.pipeline.storage import open_file
from flowreel.schemas.errors import CheckpointError, UsageError

OURS, REAL, LABEL = "ours", "real", "label"
UNTRAINED = "frame by frame"


@dataclass(frozen=True)
class Contest:
    """Methods and the real videos that they are measured on."""

    data: RealData
    videos: list[RealVideo]
    exemplars: dict[str, list[Rgb]]  # per video: what styles look like, from other sequences
    methods: list[Method]  # ours first
    segmenter: Segmenter
    notices: list[str]  # what a reader of the numbers must know

    @property
    def second(self) -> int:
        """Frames of one second, or half of the shortest video."""
        return max(2, min(round(self.data.fps), min(len(v.label_THW) for v in self.videos) // 2))


def prepare(args: Namespace, tell: Tell) -> Contest:
    """From the arguments of `quality`. Raises UsageError, or a kind of it, for whatever does not fit."""
    data, checkpoint = open_data(args.data, args.label_space), open_checkpoint(args.checkpoint)
    notices: list[str] = []
    names = chosen(args.sequences, checkpoint, data, notices)
    size = size_of(checkpoint, args.size)
    methods = [Method(OURS, load(checkpoint, data.space, size, args.precision))]
    for alone, given in ((False, args.baseline), (True, args.alone)):
        for name, place in given:
            methods.append(Method(name, load(open_checkpoint(place), data.space, size, args.precision), alone))
    if len(methods) == 1:
        methods.append(replace(methods[0], name=UNTRAINED, alone=True))
        notices.append(f"`{UNTRAINED}` is the same checkpoint, not trained for it: each frame from nothing, by itself.")
    taken = [LABEL, REAL, *(m.name for m in methods)]
    if len(set(taken)) < len(taken):
        raise UsageError(f"names of baselines must differ from each other and from {LABEL}, {REAL} and {OURS}")
    videos = data.read(names, size)
    exemplars = {name: first_frames(data, name, size, args.styles) for name in names}
    segmenter = segmenter_for(args, data, names, size, notices) or trained(args, data, names, size, tell)
    return Contest(data, videos, exemplars, methods, segmenter, notices)


def chosen(asked: Sequence[str], checkpoint: Checkpoint, data: RealData, notices: list[str]) -> list[str]:
    """Sequences that are asked for; else those that the checkpoint's config names as held out; else all."""
    held_out = [name for name in data.names if name in checkpoint.config.held_out]
    names = list(asked) or held_out or data.names
    if unsure := [name for name in names if name not in checkpoint.config.held_out]:
        notices.append(
            f"The checkpoint does not say that {', '.join(unsure)} were held out of its training: if they were not, its"
            " numbers are optimistic."
        )
    return names


def first_frames(data: RealData, name: str, size: tuple[int, int], most: int) -> list[Rgb]:
    """Of ``most`` other sequences."""
    others = [other for other in data.names if other != name][:most]
    return [video.image_THW3[0] for video in data.read(others, size, most=1)]


def trained(args: Namespace, data: RealData, names: Sequence[str], size: tuple[int, int], tell: Tell) -> Segmenter:
    """A segmenter from the sequences that are not measured."""
    others = [name for name in data.names if name not in names]
    if not others:
        raise UsageError(
            "all sequences are measured, so none is left to train a segmenter on: choose some with --sequences, or give"
            " a segmenter with --segmenter (made by `python -m benchmarks.segmenter DATA OUT`)"
        )
    return train_segmenter(data, others, size, args.segmenter_minutes * 60, tell)


def segmenter_for(
    args: Namespace, data: RealData, names: Sequence[str], size: tuple[int, int], notices: list[str]
) -> Segmenter | None:
    """The given one, if it tells the data's classes."""
    if not args.segmenter:
        return None
    store, file = open_file(args.segmenter)
    segmenter = load_segmenter(store.read(file), args.segmenter)
    facts = segmenter.facts
    if facts.label_space != data.space.name:
        raise CheckpointError(
            f"--segmenter {args.segmenter} tells classes of label space '{facts.label_space}', but the data has"
            f" '{data.space.name}': train one with `python -m benchmarks.segmenter`"
        )
    if facts.size != size:
        notices.append(f"The segmenter was trained on frames of {facts.size[0]}x{facts.size[1]}, another size.")
    if seen := [name for name in names if name in facts.sequences]:
        notices.append(f"The segmenter was trained on {', '.join(seen)} too: its accuracy there is optimistic.")
    return segmenter
