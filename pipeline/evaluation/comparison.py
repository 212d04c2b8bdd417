"""What an evaluation compares, and on what: loaded and checked before anything is rendered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flowreel.pipeline.evaluation.methods import Method, Precision, Rgb, load, open_checkpoint, size_of
from flowreel.pipeline.evaluation.real_video import RealData, RealVideo, open_data
from flowreel.pipeline.evaluation.segmenter_training import train_segmenter
from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.quality.segmenter_network import Segmenter, load_segmenter
from flowreel.pipeline.storage import open_file
from flowreel.schemas.errors import CheckpointError, UsageError

OURS, REAL, LABEL = "ours", "real", "label"
UNTRAINED = "frame by frame"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """Says what is compared, and how; see `flowreel evaluate --help`."""

    checkpoint: str  # folder, URL or `bundled`
    data: str  # as `open_data` takes it
    sequences: Sequence[str] = ()  # none: those that were held out of the training, or all
    label_space: str = "cityscapes"  # of a folder; specs name their own
    size: tuple[int, int] | None = None  # (width, height); None: what the checkpoint was trained at
    precision: Precision = "float32"
    baselines: Sequence[tuple[str, str]] = ()  # name, checkpoint: go through time as ours does
    alone: Sequence[tuple[str, str]] = ()  # name, checkpoint: render each frame by itself
    segmenter: str = ""  # path or URL; "": trained on the other sequences
    segmenter_minutes: float = 5.0
    styles: int = 3  # exemplars at most


@dataclass(frozen=True)
class Comparison:
    """Holds the methods and the real videos that they are measured on."""

    data: RealData
    videos: list[RealVideo]
    exemplars: dict[str, list[Rgb]]  # per video: first frames (H, W, 3) of other sequences, which set a style
    methods: list[Method]  # ours first
    segmenter: Segmenter
    notices: list[str]  # what a reader of the numbers must know

    @property
    def second(self) -> int:
        """Gives the frames of one second, or half of the shortest video."""
        return max(2, min(round(self.data.fps), min(len(v.label_THW) for v in self.videos) // 2))


def prepare(request: Request, tell: Tell) -> Comparison:
    """Loads all that is compared; ``tell`` hears how the training of a segmenter goes, if it takes one.

    Raises UsageError, or a kind of it, for whatever does not fit.
    """
    data, checkpoint = open_data(request.data, request.label_space), open_checkpoint(request.checkpoint)
    notices: list[str] = []
    names = _chosen(request.sequences, checkpoint, data, notices)
    size = size_of(checkpoint, request.size)
    methods = _methods(request, checkpoint, data, size)
    if len(methods) == 1:
        methods.append(replace(methods[0], name=UNTRAINED, alone=True))
        notices.append(
            f"`{UNTRAINED}` is the same checkpoint, which was not trained for it: it renders each frame by itself, from"
            " nothing."
        )
    videos = data.read(names, size)
    exemplars = {name: _first_frames(data, name, size, request.styles) for name in names}
    if request.segmenter:
        segmenter = _given_segmenter(request.segmenter, data, names, size, notices)
    else:
        segmenter = _new_segmenter(request, data, names, size, tell)
    return Comparison(data, videos, exemplars, methods, segmenter, notices)


def _methods(request: Request, checkpoint: Checkpoint, data: RealData, size: tuple[int, int]) -> list[Method]:
    """Gives ours, then the baselines. Raises UsageError for a name that is taken."""
    named = [(name, place, False) for name, place in request.baselines]
    named += [(name, place, True) for name, place in request.alone]
    taken = [LABEL, REAL, OURS, *(name for name, _, _ in named)]
    if len(set(taken)) < len(taken):
        raise UsageError(f"names of baselines must differ from each other and from {LABEL}, {REAL} and {OURS}")
    methods = [Method(OURS, load(checkpoint, data.space, size, request.precision))]
    for name, place, alone in named:
        methods.append(Method(name, load(open_checkpoint(place), data.space, size, request.precision), alone))
    return methods


def _chosen(asked: Sequence[str], checkpoint: Checkpoint, data: RealData, notices: list[str]) -> list[str]:
    """Gives the sequences asked for; else those that the checkpoint's config names as held out; else all."""
    held_out = [name for name in data.names if name in checkpoint.config.held_out]
    names = list(dict.fromkeys(asked)) or held_out or data.names
    if unsure := [name for name in names if name not in checkpoint.config.held_out]:
        notices.append(
            f"The checkpoint does not say that {', '.join(unsure)} were held out of its training: if they were not, its"
            " numbers are optimistic."
        )
    return names


def _first_frames(data: RealData, name: str, size: tuple[int, int], most: int) -> list[Rgb]:
    """Gives the first frames (H, W, 3) of at most ``most`` other sequences."""
    others = [other for other in data.names if other != name][:most]
    return [video.image_THW3[0] for video in data.read(others, size, most=1)]


def _new_segmenter(
    request: Request, data: RealData, names: Sequence[str], size: tuple[int, int], tell: Tell
) -> Segmenter:
    """Trains a segmenter on the sequences that are not measured."""
    others = [name for name in data.names if name not in names]
    if not others:
        raise UsageError(
            "all sequences are measured, so none is left to train a segmenter on: choose some with --sequence, or give"
            " a segmenter with --segmenter (`flowreel segmenter DATA OUT` trains one)"
        )
    return train_segmenter(data, others, size, request.segmenter_minutes * 60, tell)


def _given_segmenter(
    place: str, data: RealData, names: Sequence[str], size: tuple[int, int], notices: list[str]
) -> Segmenter:
    """Opens the given segmenter. Raises CheckpointError if it does not know the data's classes."""
    store, file = open_file(place)
    segmenter = load_segmenter(store.read(file), place)
    facts = segmenter.facts
    if facts.label_space != data.space.name:
        raise CheckpointError(
            f"--segmenter {place} knows the classes of label space '{facts.label_space}', but the data has"
            f" '{data.space.name}': train one with `flowreel segmenter DATA OUT`"
        )
    if facts.size != size:
        notices.append(f"The segmenter was trained on frames of another size, {facts.size[0]}x{facts.size[1]}.")
    if seen := [name for name in names if name in facts.sequences]:
        notices.append(f"The segmenter was trained on {', '.join(seen)} too: its accuracy there is optimistic.")
    return segmenter
