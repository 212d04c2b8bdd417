"""Checks before the first step. Each problem names the object, the value, the bound and the next step."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flowreel.pipeline.generator.adaptive.config import AdaptiveConfig
from flowreel.pipeline.generator.config import GeneratorConfig, TakesSizes
from flowreel.pipeline.sources.template import natural
from flowreel.pipeline.training.data.sampling import Sampling, least_frames
from flowreel.pipeline.training.data.sequences import TrainingSequence
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.sequence import Sequence, SourceFile
from flowreel.schemas.training import NetworkSpec, TrainSpec

MAX_STRETCH = 0.02  # how far the shapes of an image and its label map may differ: rounded sides, not another crop
LITE2_LEAST = 32  # pixels: sides that EfficientNet-Lite2 can halve five times
MOST_CHANNELS = 256  # of one-hot labels (GeneratorConfig.label_nc)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file as it was read."""

    file: SourceFile
    size: tuple[int, int]  # width, height
    error: str  # empty for a good one


Pictures = dict[str, dict[str, Picture]]  # sequence -> frame name -> image


def spec_problems(spec: TrainSpec, space: LabelSpace) -> Iterator[str]:
    """Yields sizes that do not go together, and ids that networks have no channels for."""
    size, crop = spec.data.size, spec.data.crop
    if crop and (crop[0] > size[0] or crop[1] > size[1]):
        yield f"data.crop {_x(crop)} is larger than data.size {_x(size)}; lower it, or raise data.size"
    least = LITE2_LEAST * (2 if spec.schedule.half_size else 1) if spec.discriminators.segmentation else 0
    try:
        _takes_sizes(spec.generator).check_size(*(crop or size), least=least)
    except ValueError as error:
        yield f"data.{'crop' if crop else 'size'}: {error}"
    yield from _void_problems(spec, space)
    if spec.source and spec.source.pose and spec.data.flip:
        yield f"data.flip {spec.data.flip:g}: left and right limbs are drawn in different colours; set it to 0"
    highest = max(space.ids)
    if highest >= MOST_CHANNELS:
        yield (
            f"label space '{space.name}' has class id {highest}, but networks have at most {MOST_CHANNELS} channels;"
            f" use a label space with ids below {MOST_CHANNELS} and map the source's to it by source.remap"
        )


def _takes_sizes(networks: NetworkSpec) -> TakesSizes:
    """Gives a config that takes the same sizes: the width of layers does not matter."""
    if networks.architecture == "adaptive":
        return AdaptiveConfig(features=networks.features, widths=networks.widths)
    return GeneratorConfig(ngf=2**networks.n_scales, n_downsample=networks.n_downsample, n_scales=networks.n_scales)


def _void_problems(spec: TrainSpec, space: LabelSpace) -> Iterator[str]:
    """Yields void classes that do not exist, and a spec that leaves no other class."""
    try:
        void = {space.resolve(key) for key in spec.data.void}
    except ValueError as error:
        yield f"data.void: {error}"
        return
    if void >= space.ids:
        yield f"data.void names all {len(void)} classes of label space '{space.name}'; leave out those that have a look"


def hold_out_problems(spec: TrainSpec, sequences: Iterable[TrainingSequence]) -> Iterator[str]:
    """Yields names that are no sequence, and a spec that leaves nothing to train on."""
    known = list(dict.fromkeys(s.scene for s in sequences))
    for name in spec.data.hold_out:
        if name not in known:
            yield f"data.hold_out: there is no sequence '{name}'; there are: {_some(known)}"
    if known and set(known) <= set(spec.data.hold_out):
        yield f"data.hold_out names all {len(known)} sequences; leave at least one to train on"


def length_problems(spec: TrainSpec, sequences: Iterable[TrainingSequence], *, held_out: bool) -> Iterator[str]:
    """Yields sequences too short for one chunk, or, if held out, for one frame with its context."""
    schedule, frames = spec.schedule, spec.generator.n_frames
    sampling = Sampling.of(spec, schedule.clip_frames, min(schedule.load_frames, schedule.clip_frames))
    least, why = least_frames(sampling), f"schedule.load_frames {sampling.load_frames} with generator.n_frames {frames}"
    step = "leave it out, or lower schedule.load_frames"
    if held_out:
        least, why, step = frames, f"generator.n_frames {frames}", "hold out another one"
    for sequence in sequences:
        if len(sequence.frames) < least and not sequence.still:
            count = len(sequence.frames)
            yield f"sequence '{sequence.name}': {count} frames, at least {least} are needed for {why}; {step}"


def picture_problems(sequences: Iterable[Sequence], pictures: Pictures) -> Iterator[str]:
    """Yields images that do not decode, have no label map or are missing, or whose sizes differ or do not fit the
    labels'."""
    labelled = {s.sequence_id: s for s in sequences}
    for name in sorted(pictures.keys() | labelled.keys(), key=natural):
        images = pictures.get(name, {})
        if name not in labelled:
            first = min(p.file.path for p in images.values())
            yield f"sequence '{name}': {len(images)} images, but no label map; first {first}"
            continue
        yield from (f"{p.file.path}: {p.error}" for p in images.values() if p.error)
        yield from _unpaired(labelled[name], images)
        yield from _sizes(labelled[name], [p for p in images.values() if not p.error])


def _unpaired(sequence: Sequence, images: dict[str, Picture]) -> Iterator[str]:
    names = [f.name for f in sequence.frames]
    missing = [name for name in names if name not in images]
    if missing:
        yield (
            f"sequence '{sequence.sequence_id}': no image for {len(missing)} of {len(names)} label maps, first"
            f" '{missing[0]}'; add them, or leave those label maps out"
        )
    lone = sorted(images.keys() - set(names), key=natural)
    if lone:
        yield (
            f"sequence '{sequence.sequence_id}': no label map for {len(lone)} of {len(images)} images, first"
            f" {images[lone[0]].file.path}; add them, or leave those images out"
        )


def _sizes(sequence: Sequence, images: list[Picture]) -> Iterator[str]:
    """Yields images that differ from the sequence's size, and sequences whose label maps have another shape."""
    if not images:
        return
    usual = Counter(p.size for p in images).most_common(1)[0][0]
    for picture in images:
        if picture.size != usual:
            yield (
                f"{picture.file.path}: size {_x(picture.size)}, but images of sequence '{sequence.sequence_id}' are"
                f" {_x(usual)}; images of a sequence must have one size"
            )
    width, height = sequence.size
    if width and height:  # 0: no label map could be read
        stretch = abs(usual[0] * height / (usual[1] * width) - 1)
        if stretch > MAX_STRETCH:
            yield (
                f"sequence '{sequence.sequence_id}': images are {_x(usual)}, label maps {_x(sequence.size)}: width to"
                f" height differ by {stretch:.0%}, at most {MAX_STRETCH:.0%} is accepted as rounding; crop them alike"
            )


def _x(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
