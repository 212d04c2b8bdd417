"""What the generator's benchmark measures: networks by name, and clips for them to render."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from flowreel.pipeline.codec import decode_ids, resize_ids
from flowreel.pipeline.generator.checkpoint import BUNDLED, checkpoint_store, read_checkpoint
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.importing.presets import NAMES, preset
from flowreel.pipeline.generator.layers import ClipNorm
from flowreel.pipeline.generator.loading import load_generator, save_checkpoint
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.sources.scenes import street_scene
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import UsageError

SEED, WEIGHT_STD = 0, 0.02  # what training starts from
VIDEO_PRESETS = tuple(name for name in NAMES if preset(name).kind is None)
_OF_NETWORKS = (
    *("label_space", "label_nc", "input_nc", "use_instance", "fg_labels"),
    *("ngf", "n_downsample", "n_blocks", "n_blocks_local", "n_frames", "n_scales", "flow"),
)  # what a preset says and a configuration is made of


@dataclass(frozen=True)
class Subject:
    """Names what is measured; another process can make the same of it."""

    preset: str
    size: tuple[int, int]  # width, height in pixels
    checkpoint: str | None = None  # place of a trained one, or `bundled`; instead of the preset
    ngf: int | None = None  # base width instead of the preset's
    source: Path | None = None  # real sequences; none: street scenes out of nothing

    @property
    def name(self) -> str:
        narrowed = f" with ngf {self.ngf}" if self.ngf else ""
        return f"checkpoint `{self.checkpoint}`" if self.checkpoint else f"`{self.preset}`{narrowed}, random weights"

    def content(self, config: GeneratorConfig) -> str:
        """What the clips show."""
        if not config.label_nc:
            return "noise as pictures"
        return f"real label maps ({self.source.name})" if self.source else "street scenes of `sources.scenes`"


def build_generator(subject: Subject) -> VideoGenerator:
    """In float32 on the CPU, as a render worker holds it."""
    if subject.checkpoint:
        loaded = load_generator(read_checkpoint(checkpoint_store(subject.checkpoint, {})), "cpu")
        if not isinstance(loaded, VideoGenerator):
            raise UsageError(f"{subject.checkpoint}: this benchmark measures vid2vid's generators")
        return loaded
    generator = empty_generator(preset_config(subject.preset, subject.ngf)).to_empty(device="cpu")
    random = torch.Generator().manual_seed(SEED)
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.normal_(0, WEIGHT_STD, generator=random)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, ClipNorm):
            module.load_state_dict(ClipNorm(len(module.weight)).state_dict())
    return generator


def checkpoint_of(name: str, folder: Path) -> str:
    """The bundled one's, or a directory below ``folder`` with random weights in an official architecture."""
    if name == BUNDLED:
        return BUNDLED
    place = folder / f"checkpoint-{name}"
    if not place.exists():
        save_checkpoint(open_store(str(place)), build_generator(Subject(name, (0, 0))))
    return str(place)


def empty_generator(config: GeneratorConfig) -> VideoGenerator:
    """Shapes without weights."""
    with torch.device("meta"):
        return VideoGenerator(config).requires_grad_(False)


def preset_config(name: str, ngf: int | None = None) -> GeneratorConfig:
    """An official configuration, without the generator of its first frames. ``ngf``: base width instead of its own."""
    options = preset(name)
    said = {key: value for key in _OF_NETWORKS if (value := getattr(options, key)) is not None}
    said["fg_labels"] = options.fg_labels if options.foreground else ()
    return GeneratorConfig.model_validate(said | ({"ngf": ngf} if ngf else {}))


def make_clips(subject: Subject, config: GeneratorConfig, count: int, length: int) -> list[Conditioning]:
    """``count`` clips of ``length`` frames."""
    config.check_size(*subject.size)
    if subject.source and not config.label_nc:
        raise UsageError(f"--source {subject.source}: {subject.name} renders pictures, not label maps; leave it out")
    if not config.label_nc:
        return [_pictures(seed, length, config, subject.size) for seed in range(count)]
    if subject.source:
        return _real(subject.source, subject.size, count, length)
    scenes = [street_scene(seed, length, subject.size) for seed in range(count)]
    return [Conditioning(scene.label_THW, scene.instance_THW) for scene in scenes]


def _pictures(seed: int, length: int, config: GeneratorConfig, size: tuple[int, int]) -> Conditioning:
    """Noise in the place of poses and faces: how long their frames take does not depend on what they show."""
    width, height = size
    shape = (length, config.input_nc, height, width)
    picture_TLHW = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
    nothing_THW = np.zeros((length, height, width), np.uint8)
    return Conditioning(nothing_THW, nothing_THW, picture_TLHW=picture_TLHW)


def _real(source: Path, size: tuple[int, int], count: int, length: int) -> list[Conditioning]:
    """The beginnings of all sequences first, then what follows; from the start again where there is not enough."""
    labels = sorted([*source.glob("labels"), *source.glob("*/labels")])
    places = []
    for order, folder in enumerate(labels):
        names = sorted(file.name for file in folder.glob("*.png"))
        places += [(start, order, names[start : start + length]) for start in range(0, len(names), length)]
    places = sorted(place for place in places if len(place[2]) == length)
    if not places:
        raise UsageError(
            f"--source {source}: no sequence of {length} frames; it needs labels/*.png and instances/*.png, in the"
            " folder itself or in folders of sequences; or ask for fewer frames"
        )
    chosen = [places[i % len(places)] for i in range(count)]
    return [_clip(labels[order].parent, names, size) for _, order, names in chosen]


def _clip(sequence: Path, names: list[str], size: tuple[int, int]) -> Conditioning:
    def maps(role: str) -> np.ndarray:
        missing = [name for name in names if not (sequence / role / name).is_file()]
        if missing:
            raise UsageError(f"--source: {sequence / role / missing[0]} is missing; each label map needs one")
        return np.stack([resize_ids(decode_ids((sequence / role / name).read_bytes()), size) for name in names])

    return Conditioning(maps("labels"), maps("instances"))
