"""Everything in the reference files, and the sizes of the official checkpoints."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.image_config import EncoderConfig, ImageGeneratorConfig
from flowreel.pipeline.generator.image_networks import Encoder, ImageGenerator
from flowreel.pipeline.generator.layers import PlainNorm
from flowreel.pipeline.generator.networks import VideoGenerator
from tests.golden.check import NOT_VECTORS, How, check_file
from tests.golden.engines import ENGINES
from tests.golden.vectors import find_weights

pytestmark = pytest.mark.usefixtures("one_thread")

FILES = [
    "e01_pose_encoding.npz",
    "e02_face_encoding.npz",
    "e03_resize_rules.json",
    "g01_s1_fg_inst_down3.npz",
    "g02_s2_fg2_inst_down2.npz",
    "g03_s3_fg_inst_down2.npz",
    "g04_s3_fg_inst_down3.npz",
    "g05_s1_noflow_plain.npz",
    "g06_s1_pose_nofirst.npz",
    "g07_s2_pose_nofirst.npz",
    "g08_s1_single_global.npz",
    "g09_s2_single_local.npz",
    "g10_s1_face_features.npz",
    "g11_s1_two_frames_two_sequences.npz",
    "g12_s2_openpose_noflow_nofirst.npz",
    "g13_s2_noflow_fg_four_frames.npz",
    "p14_pix2pixHD_global_plain.npz",
    "p15_pix2pixHD_local_features.npz",
    "p16_vid2vid_local_with_features.npz",
    "t01_train_s1_fg_inst.npz",
    "t02_train_s2_pose_face_fixglobal.npz",
]
RUNS = [(name, engine) for name in FILES for engine in ENGINES if name.startswith("g") or engine == "plain"]


@pytest.mark.shared
def test_no_file_is_left_out(golden: Path) -> None:
    assert sorted(path.name for path in golden.iterdir() if path.name not in NOT_VECTORS) == FILES


@pytest.mark.shared
@pytest.mark.parametrize(("name", "engine"), RUNS)
def test_reference_file(golden: Path, name: str, engine: str) -> None:
    """In float64 the reference's numbers, in float32 as close as the original itself is."""
    report = check_file(golden / name, How(find_weights(golden), engine=ENGINES[engine], float32=True))
    assert report.ok, report.line


# Learned parameters and state_dict entries per scale of the official checkpoints, from the specification's section 2.2.
NO_FOREGROUND = {"use_instance": False, "fg_labels": ()}
STREET: dict[str, Any] = {"n_scales": 3}
FACE: dict[str, Any] = {"label_nc": 0, "input_nc": 15, **NO_FOREGROUND}
POSE: dict[str, Any] = {"label_nc": 0, "input_nc": 6, **NO_FOREGROUND}
FACE_SMALL, POSE_SMALL = FACE | {"ngf": 64}, POSE | {"ngf": 64}
FACE_G1, POSE_FULL = [(91_370_310, 356), (608_550, 132)], [(364_826_886, 356), (2_164_614, 132), (566_214, 132)]
POSE_G1 = [(91_285_638, 356), (566_214, 132), (154_086, 132)]
OFFICIAL: dict[str, tuple[dict[str, Any], list[tuple[int, int]]]] = {
    "label2city_2048": (STREET, [(411_335_241, 533), (2_880_489, 197), (859_641, 197)]),
    "label2city_1024_g1": (STREET | {"n_downsample": 2}, [(137_792_649, 491), (3_830_217, 197), (1_140_969, 197)]),
    "edge2face_512": (FACE, [(364_996_230, 356)]),
    "edge2face_256_g1": (FACE_SMALL, FACE_G1[:1]),
    "edge2face_512_g1": (FACE_SMALL | {"n_scales": 2}, FACE_G1),
    "pose2body_256p": (POSE, POSE_FULL[:1]),
    "pose2body_512p": (POSE | {"n_scales": 2}, POSE_FULL[:2]),
    "pose2body_1024p": (POSE | {"n_scales": 3}, POSE_FULL),
    "pose2body_256p_g1": (POSE_SMALL, POSE_G1[:1]),
    "pose2body_512p_g1": (POSE_SMALL | {"n_scales": 2}, POSE_G1[:2]),
    "pose2body_1024p_g1": (POSE_SMALL | {"n_scales": 3}, POSE_G1),
}


def on_meta(settings: dict[str, Any]) -> VideoGenerator:
    with torch.device("meta"):
        return VideoGenerator(GeneratorConfig(**settings))


@pytest.mark.parametrize("name", OFFICIAL)
def test_sizes_of_the_official_checkpoints(name: str) -> None:
    settings, expected = OFFICIAL[name]
    scales = on_meta(settings).scales
    assert [(sum(p.numel() for p in scale.parameters()), len(scale.state_dict())) for scale in scales] == expected


FACE_SINGLE: dict[str, Any] = {"kind": "global_with_features", "input_nc": 15, "n_downsample": 3, "feat_num": 16}
SINGLE: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "city 512": ({"n_downsample": 3}, (45_693_699, 127)),
    "city 1024": ({}, (182_543_619, 137)),
    "city 2048": ({"kind": "local", "ngf": 32}, (182_852_355, 182)),
    "face": (FACE_SINGLE, (48_453_203, 127)),
}


def official_size(network: nn.Module) -> tuple[int, int]:
    """Parameters, and entries with the three running statistics that each norm has in vid2vid's files."""
    norms = sum(isinstance(module, PlainNorm) for module in network.modules())
    return sum(p.numel() for p in network.parameters()), len(network.state_dict()) + 3 * norms


@pytest.mark.parametrize("name", SINGLE)
def test_sizes_of_the_official_single_image_generators(name: str) -> None:
    settings, expected = SINGLE[name]
    with torch.device("meta"):
        assert official_size(ImageGenerator(ImageGeneratorConfig(**settings))) == expected


def test_size_of_the_official_encoder() -> None:
    with torch.device("meta"):
        assert official_size(Encoder(EncoderConfig(output_nc=16))) == (799_008, 47)


def test_names_of_an_official_face_checkpoint() -> None:
    """Entries of edge2face's single-image generator and encoder from the tables 7.3 and 7.5, and our feature tables."""
    single = ImageGeneratorConfig(encoder=EncoderConfig(output_nc=16), feature_rows=(5,) * 7, **FACE_SINGLE)
    shapes = {key: tuple(value.shape) for key, value in on_meta(FACE | {"single": single}).state_dict().items()}
    expected = {
        "S.model_downsample.1.weight": (64, 31, 7, 7),
        "S.model_downsample.10.weight": (512, 256, 3, 3),
        "S.model_resnet.8.conv_block.5.weight": (528, 528, 3, 3),
        "S.model_upsample.0.weight": (544, 256, 3, 3),
        "S.model_upsample.6.weight": (128, 64, 3, 3),
        "S.model_upsample_conv.1.weight": (3, 80, 7, 7),
        "E.model.1.weight": (16, 3, 7, 7),
        "E.model.13.weight": (256, 128, 3, 3),
        "E.model.16.weight": (256, 128, 3, 3),
        "E.model.29.weight": (16, 16, 7, 7),
        "features.0": (5, 16),
        "features.6": (5, 16),
    }
    assert {key: shapes.get(key) for key in expected} == expected


def test_the_last_convolutions_of_official_city_generators() -> None:
    """`model.32` for 512, `model.38` for 1024, `model1_2.7` for 2048."""
    lasts = {"city 512": "model.32.weight", "city 1024": "model.38.weight", "city 2048": "model1_2.7.weight"}
    for name, key in lasts.items():
        config = ImageGeneratorConfig(**SINGLE[name][0])
        with torch.device("meta"):
            shapes = {key: tuple(value.shape) for key, value in ImageGenerator(config).state_dict().items()}
        assert shapes[key] == (3, config.ngf, 7, 7)


def test_names_and_shapes_of_an_official_checkpoint() -> None:
    """Entries of label2city_2048 from every row of the specification's tables 6.1 and 6.2."""
    shapes = {key: tuple(value.shape) for key, value in on_meta(STREET).state_dict().items()}
    expected = {
        "G0.indv_down.1.weight": (64, 108, 7, 7),
        "G0.indv_down.4.weight": (128, 64, 3, 3),
        "G0.indv_res.8.conv_block.5.weight": (512, 512, 3, 3),
        "G0.indv_up.0.weight": (512, 256, 3, 3),
        "G0.indv_final.1.weight": (3, 64, 7, 7),
        "G0.model_down_seg.1.weight": (128, 108, 7, 7),
        "G0.model_down_seg.2.running_var": (128,),
        "G0.model_down_seg.10.weight": (1024, 512, 3, 3),
        "G0.model_down_seg.13.conv_block.1.bias": (1024,),
        "G0.model_down_seg.17.conv_block.6.num_batches_tracked": (),
        "G0.model_down_img.1.weight": (128, 6, 7, 7),
        "G0.model_res_img.3.conv_block.2.running_mean": (1024,),
        "G0.model_up_img.6.weight": (256, 128, 3, 3),
        "G0.model_final_img.1.weight": (3, 128, 7, 7),
        "G0.model_res_flow.0.conv_block.1.weight": (1024, 1024, 3, 3),
        "G0.model_up_flow.3.bias": (256,),
        "G0.model_final_flow.1.weight": (2, 128, 7, 7),
        "G0.model_final_w.1.bias": (1,),
        "G1.indv_down.4.weight": (64, 32, 3, 3),
        "G1.indv_up.2.conv_block.1.weight": (64, 64, 3, 3),
        "G1.indv_up.3.weight": (64, 32, 3, 3),
        "G2.indv_final.1.weight": (3, 16, 7, 7),
        "G2.model_down_seg.1.weight": (32, 108, 7, 7),
        "G2.model_down_img.5.weight": (64,),
        "G2.model_up_img.4.bias": (32,),
        "G2.model_up_flow.2.conv_block.5.weight": (64, 64, 3, 3),
        "G2.model_final_w.1.weight": (1, 32, 7, 7),
    }
    assert {key: shapes.get(key) for key in expected} == expected
    assert "G0.model_down_seg.18.conv_block.1.weight" not in shapes
    assert "G0.model_res_img.4.conv_block.1.weight" not in shapes
