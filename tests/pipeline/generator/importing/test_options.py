"""What is said about a checkpoint: `opt.txt` in its variants, presets against the sizes of the official files."""

from typing import Any

import pytest
import torch

from flowreel.jobs.import_checkpoint import Arguments
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.image_config import EncoderConfig, ImageCheckpointConfig, ImageGeneratorConfig
from flowreel.pipeline.generator.image_networks import Encoder, ImageGenerator
from flowreel.pipeline.generator.importing.image_weights import image_facts
from flowreel.pipeline.generator.importing.options import FLAGS, Options, Said, read_opt
from flowreel.pipeline.generator.importing.presets import NAMES, preset
from flowreel.pipeline.generator.importing.pth import Weights
from flowreel.pipeline.generator.importing.reconcile import channels, check_claims, foreground_labels
from flowreel.pipeline.generator.importing.video_weights import video_facts
from flowreel.pipeline.generator.loading import wanted_shapes
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.schemas.errors import CheckpointError

# vid2vid, street/test_2048, as the original prints it
TEST_OPT = """------------ Options -------------
aspect_ratio: 1.0
dataroot: datasets/Cityscapes/
fg: True
fg_labels: [26]
fp16: False
gpu_ids: [0]
input_nc: 3
label_nc: 35
loadSize: 2048
n_blocks: 9
n_blocks_local: 3
n_downsample_G: 3
n_frames_G: 3
n_scales_spatial: 3
name: label2city_2048
ngf: 128
no_first_img: False
no_flow: False
norm: batch
openpose_only: False
use_instance: True
use_single_G: True
which_epoch: latest
-------------- End ----------------
"""


def said_by(text: str) -> dict[str, Any]:
    return read_opt(text.encode(), "opt.txt").model_dump(exclude_none=True, exclude={"origin"})


def test_an_official_file_says_what_its_preset_does() -> None:
    found = said_by(TEST_OPT)
    official = preset("label2city_2048").model_dump(exclude_none=True, exclude={"origin", "label_space", "size"})
    assert found == official


def test_the_layout_of_lines_does_not_matter() -> None:
    padded = [line.replace(": ", " :    ") + "    \t[default: 7]" for line in TEST_OPT.splitlines()[1:-1]]
    assert said_by("\r\n".join(reversed([*padded, "", "# a note", "no value"]))) == said_by(TEST_OPT)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("label_nc: 0\ninput_nc: 6", {"label_nc": 0, "input_nc": 6}),
        ("label_nc: 35\ninput_nc: 3", {"label_nc": 35}),
        ("ngf: 64\nopenpose_only: True\nno_flow: False", {"ngf": 64, "flow": False}),
        ("ngf: 64\nno_first_img: True", {"ngf": 64, "first_frames": False}),
        ("ngf: 64\nfg: True\nfg_labels: 24,26", {"ngf": 64, "foreground": True, "fg_labels": (24, 26)}),
        ("ngf: 64\nfg: True\nfg_labels: '26'", {"ngf": 64, "foreground": True, "fg_labels": (26,)}),
        ("ngf: 64\nfg: False\nfg_labels: 26", {"ngf": 64, "foreground": False}),
        ("netG: composite\nngf: 64", {"ngf": 64}),
        (
            "netG: global\nlabel_nc: 35\nno_instance: False\ninstance_feat: False\nlabel_feat: False\nfeat_num: 3\n"
            "n_downsample_global: 4\nn_blocks_global: 9\nn_local_enhancers: 1",
            {"kind": "global", "label_nc": 35, "use_instance": True, "feat_num": 0, "n_downsample": 4, "n_blocks": 9},
        ),
        (
            "netG: local\nno_instance: True\ninstance_feat: True\nfeat_num: 3\nn_local_enhancers: 1\nn_blocks_local: 3",
            {"kind": "local", "use_instance": False, "feat_num": 3, "n_local_enhancers": 1, "n_blocks_local": 3},
        ),
    ],
)
def test_options_mean_what_they_meant(text: str, found: dict[str, Any]) -> None:
    assert said_by(text) == found


def test_values_that_cannot_be_are_named() -> None:
    with pytest.raises(CheckpointError, match=r"(?s)opt\.txt says what cannot be:.*use_instance: 'maybe'.*ngf: -3"):
        read_opt(b"ngf: -3\nuse_instance: maybe", "opt.txt")


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(CheckpointError, match=r"--preset city: no such preset; there are label2city_2048, .*p_feat$"):
        preset("city")


def test_every_flag_that_messages_name_exists() -> None:
    assert set(Arguments.__annotations__) >= FLAGS
    assert set(Options.model_fields) >= FLAGS


# Official sizes: learned parameters, and entries of the file, which include the statistics.

SIZES: dict[str, list[tuple[int, int]]] = {
    "label2city_2048": [(411_335_241, 533), (2_880_489, 197), (859_641, 197)],
    "label2city_1024_g1": [(137_792_649, 491), (3_830_217, 197), (1_140_969, 197)],
    "edge2face_512": [(364_996_230, 356)],
    "edge2face_256_g1": [(91_370_310, 356)],
    "edge2face_512_g1": [(91_370_310, 356), (608_550, 132)],
    "pose2body_256p": [(364_826_886, 356)],
    "pose2body_512p": [(364_826_886, 356), (2_164_614, 132)],
    "pose2body_1024p": [(364_826_886, 356), (2_164_614, 132), (566_214, 132)],
    "pose2body_256p_g1": [(91_285_638, 356)],
    "pose2body_512p_g1": [(91_285_638, 356), (566_214, 132)],
    "pose2body_1024p_g1": [(91_285_638, 356), (566_214, 132), (154_086, 132)],
}


def official_config(said: Options) -> GeneratorConfig:
    assert said.ngf and said.n_downsample and said.n_scales and said.label_nc is not None
    return GeneratorConfig(
        label_nc=said.label_nc,
        input_nc=said.input_nc or 3,
        use_instance=bool(said.use_instance),
        fg_labels=said.fg_labels or (),
        ngf=said.ngf,
        n_downsample=said.n_downsample,
        n_scales=said.n_scales,
    )


@pytest.mark.parametrize("name", SIZES)
def test_presets_are_of_the_official_size(name: str) -> None:
    """On the meta device: shapes without numbers. What the weights tell agrees with what the preset says."""
    said = preset(name)
    with torch.device("meta"):
        scales = [dict(g.state_dict()) for g in VideoGenerator(official_config(said)).scales]
    weights = []
    for found, (parameters, entries) in zip(scales, SIZES[name], strict=True):
        live = {k: v for k, v in found.items() if "running" not in k and "num_batches" not in k}
        assert (sum(v.numel() for v in live.values()), len(found)) == (parameters, entries)
        weights.append(Weights(name, live))
    facts = video_facts(weights)
    names = ("ngf", "n_downsample", "n_blocks", "n_blocks_local", "n_frames", "flow", "foreground")
    told = {field: getattr(facts, field) for field in names}
    check_claims(told, Said(Options(origin="flags"), [said]), name)
    assert all(told[field] == getattr(said, field) for field in names if told[field] is not None)
    split = channels(facts.frame_channels, Said(Options(origin="flags"), [said]), name)
    assert (split.label_nc, split.use_instance, split.assumed) == (said.label_nc, said.use_instance, ())
    assert split.label_space == {"l": "cityscapes", "e": "face", "p": "pose"}[name[0]]
    assert channels(facts.frame_channels, Said(Options(origin="flags")), name).label_nc == said.label_nc  # by itself
    labels, assumed = foreground_labels(facts.foreground, Said(Options(origin="flags")), split.label_nc)
    assert labels == (said.fg_labels or ()) and len(assumed) == len(labels)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (ImageGeneratorConfig(n_downsample=3), 45_693_699),
        (ImageGeneratorConfig(n_downsample=4), 182_543_619),
        (ImageGeneratorConfig(kind="local", ngf=32), 182_852_355),
        (
            ImageGeneratorConfig(kind="global_with_features", input_nc=15, n_downsample=3, feat_num=16),
            48_453_203,
        ),
    ],
    ids=["city 512", "city 1024", "city 2048", "face"],
)
def test_first_frames_are_of_the_official_size(config: ImageGeneratorConfig, parameters: int) -> None:
    with torch.device("meta"):
        weights = Weights("single", dict(ImageGenerator(config).state_dict()))
        encoder = Encoder(EncoderConfig(output_nc=16))
    assert weights.parameters == parameters
    assert sum(v.numel() for v in encoder.parameters()) == 799_008
    facts = image_facts(weights)
    for name in ("kind", "ngf", "n_downsample", "n_blocks", "width_limit"):
        assert getattr(facts, name) == getattr(config, name), name
    assert (facts.inputs, facts.feat_num or 0) == (config.input_nc, config.feat_num)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SIZES])
def test_the_other_presets_are_pix2pixhd(name: str) -> None:
    said = preset(name)
    assert said.kind and said.ngf and said.n_downsample and said.feat_num is not None
    single = ImageGeneratorConfig(
        kind=said.kind, input_nc=36, ngf=said.ngf, n_downsample=said.n_downsample, feat_num=said.feat_num
    )
    config = ImageCheckpointConfig(
        architecture="pix2pixHD", label_space="cityscapes", label_nc=35, use_instance=True, single=single
    )
    first = "S.model1_1.1.weight" if said.kind == "local" else "S.model.1.weight"
    assert wanted_shapes(config)[first] == (said.ngf, 36 + said.feat_num, 7, 7)
