"""Reference files of networks -> their outputs from Flowreel's networks, with the reference's weights."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flowreel.pipeline.generator.conditioning import encode, from_uint8
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.features import region_means
from flowreel.pipeline.generator.image_config import EncoderConfig, ImageGeneratorConfig
from flowreel.pipeline.generator.image_networks import Encoder, ImageGenerator
from flowreel.pipeline.generator.networks import VideoGenerator
from tests.golden.engines import Clip, Engine
from tests.golden.outputs import Outputs
from tests.golden.vectors import Unusable, Vector

VIDEO_INPUTS = {"label", "inst", "input_u8", "first_u8"}
IMAGE_INPUTS = {"label", "inst", "input_u8", "image_u8", "feature_table"}


def fill(label: str, network: nn.Module, weights: ModuleType, dtype: torch.dtype) -> None:
    """Gives a network on the meta device the reference's weights; ``label`` is what the reference calls it."""
    filled = {}
    for key, value in network.state_dict().items():
        array = torch.from_numpy(weights.fill(f"{label}.{key}", tuple(value.shape)))
        filled[key] = array.to(dtype) if array.is_floating_point() else array
    network.load_state_dict(filled, strict=True, assign=True)
    network.requires_grad_(False)


# Video generators


def image_config(single: dict[str, Any], tables: list[np.ndarray]) -> ImageGeneratorConfig:
    """From a file's description of a single-image generator; what it does not say has vid2vid's default."""
    names = ("input_nc", "ngf", "n_downsample", "n_blocks", "n_blocks_local", "n_local_enhancers", "feat_num")
    encoder = EncoderConfig(**single["encoder"]) if single.get("encoder") else None
    given = {name: single[name] for name in names if name in single}
    rows = tuple(len(table) for table in tables)
    return ImageGeneratorConfig(kind=single["type"], encoder=encoder, feature_rows=rows, **given)


def video_config(vector: Vector) -> GeneratorConfig:
    """What a file does not say has vid2vid's default."""
    s = vector.settings
    names = {
        "input_nc": "input_nc",
        "ngf": "ngf",
        "n_blocks": "n_blocks",
        "n_downsample_G": "n_downsample",
        "n_blocks_local": "n_blocks_local",
        "n_frames_G": "n_frames",
        "n_scales_spatial": "n_scales",
    }
    single, channels = s.get("single"), s.get("label_nc") or s.get("input_nc", 3)
    return GeneratorConfig(
        use_instance=s.get("use_instance", False),
        label_nc=s.get("label_nc", 0),
        fg_labels=tuple(s.get("fg_labels", [26])) if s.get("fg") else (),
        flow=not (s.get("no_flow") or s.get("openpose_only")),
        single=image_config({"input_nc": channels} | single, feature_tables(vector)) if single else None,
        **{ours: s[theirs] for theirs, ours in names.items() if theirs in s},
    )


def feature_tables(vector: Vector) -> list[np.ndarray]:
    """features_0, features_1, ...: by part label, without the last column, which is an area."""
    count = sum(name.startswith("features_") for name in vector.arrays)
    return [vector.require(f"features_{label}")[:, :-1] for label in range(count)]


def build_video(vector: Vector, weights: ModuleType, dtype: torch.dtype) -> VideoGenerator:
    with torch.device("meta"):
        generator = VideoGenerator(video_config(vector))
    for label, network in generator.named_children():
        if network is not generator.features:
            fill(label, network, weights, dtype)
    if generator.features:
        tables = {str(i): torch.tensor(table, dtype=dtype) for i, table in enumerate(feature_tables(vector))}
        generator.features.load_state_dict(tables, strict=True, assign=True)
    return generator


def clips_of(vector: Vector, config: GeneratorConfig, dtype: torch.dtype) -> list[Clip]:
    """A file's sequences, each with its own first frames."""
    settings, arrays = vector.settings, vector.arrays
    label_THW = vector.require("label" if config.label_nc else "input_u8")
    frames = torch.from_numpy(label_THW) if config.label_nc else pictures(vector, dtype)
    inst = torch.from_numpy(vector.require("inst")) if config.use_instance or "inst" in arrays else None
    begin = settings.get("first") or ("zero" if settings.get("no_first_img") else "real")
    before, featured = config.n_frames - 1, config.single is not None and config.single.feat_num > 0
    wants_first = begin == "real" or (begin == "single" and featured)
    lengths = settings.get("seq_lengths", [len(frames)])
    if sum(lengths) != len(frames):
        raise Unusable(f"seq_lengths {lengths} do not add up to the {len(frames)} frames")
    clips, start = [], 0
    for length in lengths:
        part = slice(start, start + length)
        first = parts = None
        if wants_first:
            first = from_uint8(torch.from_numpy(vector.require("first_u8")[start : start + before]), dtype)
            if len(first) != before:
                raise Unusable(f"first_u8 has {len(first)} of the {before} frames before frame {start + before}")
        if wants_first and begin == "single":
            parts = torch.from_numpy(vector.require("inst")[start : start + before])
        clips.append(Clip(frames[part], None if inst is None else inst[part], first, parts, begin))
        start += length
    return clips


def pictures(vector: Vector, dtype: torch.dtype) -> Tensor:
    """input_u8 in the network's range."""
    u8, norm = torch.from_numpy(vector.require("input_u8")), vector.settings.get("input_norm")
    if norm not in ("pm1", "unit"):
        raise Unusable(f"input_norm is {norm}, neither pm1 nor unit")
    return from_uint8(u8, dtype) if norm == "pm1" else u8.to(dtype) / 255


@torch.inference_mode()
def video_outputs(vector: Vector, generator: VideoGenerator, engine: Engine, dtype: torch.dtype) -> Outputs:
    """All sequences of a file, one after the other."""
    done = [engine(generator, clip) for clip in clips_of(vector, generator.config, dtype)]
    return {name: torch.cat([clip[name] for clip in done]).double().numpy() for name in done[0]}


# Single-image generators


@dataclass(frozen=True)
class ImageNetworks:
    generator: ImageGenerator
    encoder: Encoder | None

    def to(self, dtype: torch.dtype) -> "ImageNetworks":
        return ImageNetworks(self.generator.to(dtype), self.encoder.to(dtype) if self.encoder else None)


def build_image(vector: Vector, weights: ModuleType, dtype: torch.dtype) -> ImageNetworks:
    """pix2pixHD's networks are called G and E in the files, a lone one of vid2vid's S."""
    s = vector.settings
    if s["kind"] == "single_net":
        config, label = image_config(s, []), "S"
    else:
        config, label = _pix2pixhd_config(s), "G"
    with torch.device("meta"):
        generator = ImageGenerator(config)
        encoder = Encoder(config.encoder) if config.encoder else None
    fill(label, generator, weights, dtype)
    if encoder:
        fill("E", encoder, weights, dtype)
    return ImageNetworks(generator, encoder)


def _pix2pixhd_config(s: dict[str, Any]) -> ImageGeneratorConfig:
    """Defaults are pix2pixHD's."""
    features = s.get("feat_num", 3) if s.get("instance_feat") or s.get("label_feat") else 0
    encoder = EncoderConfig(ngf=s.get("nef", 16), n_downsample=s.get("n_downsample_E", 4), output_nc=features or 1)
    return ImageGeneratorConfig(
        kind=s.get("netG", "global"),
        input_nc=s.get("label_nc", 35) + (not s.get("no_instance")),
        ngf=s.get("ngf", 64),
        n_downsample=s.get("n_downsample_global", 4),
        n_blocks=s.get("n_blocks_global", 9),
        n_blocks_local=s.get("n_blocks_local", 3),
        n_local_enhancers=s.get("n_local_enhancers", 1),
        feat_num=features,
        width_limit=None,
        encoder=encoder if features else None,
    )


@torch.inference_mode()
def image_outputs(vector: Vector, networks: ImageNetworks, dtype: torch.dtype) -> Outputs:
    """All images of a file, each on its own."""
    s, generator = vector.settings, networks.generator
    inst = torch.from_numpy(vector.arrays["inst"]) if "inst" in vector.arrays else None
    if "label" in vector.arrays:
        encoding = GeneratorConfig(label_nc=s.get("label_nc", 35), fg_labels=(), use_instance=not s.get("no_instance"))
        x_BCHW = encode(torch.from_numpy(vector.arrays["label"]), inst, encoding).to(dtype)
    else:
        x_BCHW = pictures(vector, dtype)
    feature_BZHW, found = None, {}
    if networks.encoder:
        assert inst is not None
        image_B3HW = from_uint8(torch.from_numpy(vector.require("image_u8")), dtype)
        feature_BZHW = found["feature_map"] = region_means(networks.encoder(image_B3HW), inst)
    elif generator.config.feat_num:
        assert inst is not None
        feature_BZHW = torch.from_numpy(vector.require("feature_table")).to(dtype)[inst.long()].movedim(-1, 1)
    images = [
        generator(x_BCHW[b : b + 1], None if feature_BZHW is None else feature_BZHW[b : b + 1])
        for b in range(len(x_BCHW))
    ]
    return {name: value.double().numpy() for name, value in (found | {"image": torch.cat(images)}).items()}
