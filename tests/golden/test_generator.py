"""The generator against reference vectors: every number of seven label-map configurations, and the official sizes."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.generator.clips import _to_uint8
from pipeline.generator.conditioning import encode
from pipeline.generator.config import GeneratorConfig
from pipeline.generator.networks import VideoGenerator
from pipeline.generator.rollout import start_from, step

# Label maps with real first frames: all that the rollout alone has to give.
NAMES = [
    "g01_s1_fg_inst_down3",
    "g02_s2_fg2_inst_down2",
    "g03_s3_fg_inst_down2",
    "g04_s3_fg_inst_down3",
    "g05_s1_noflow_plain",
    "g11_s1_two_frames_two_sequences",
    "g13_s2_noflow_fg_four_frames",
]
FLOAT32_ROUNDING = 1e-6  # flows reach some pixels, so half a unit in the last place is below this

Rendered = dict[str, np.ndarray]  # array name -> (output frames, channels, height, width), float64


@dataclass(frozen=True)
class Golden:
    """One reference file: settings, inputs and expected outputs."""

    name: str
    settings: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def config(self) -> GeneratorConfig:
        s = self.settings
        return GeneratorConfig(
            label_nc=s["label_nc"],
            use_instance=s["use_instance"],
            fg_labels=tuple(s["fg_labels"]) if s["fg"] else (),
            ngf=s["ngf"],
            n_downsample=s["n_downsample_G"],
            n_blocks=s["n_blocks"],
            n_blocks_local=s["n_blocks_local"],
            n_frames=s["n_frames_G"],
            n_scales=s["n_scales_spatial"],
            flow=not s["no_flow"],
        )

    @property
    def outputs(self) -> list[str]:
        return [name for name in self.settings["stored_stride"] if name in self.arrays]

    def stored_part(self, name: str, full: np.ndarray) -> np.ndarray:
        """The pixels of a full array that the file holds under this name."""
        stride = self.settings["stored_stride"][name]
        return full[..., ::2, 1::2] if stride == 2 else full


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def reference(shared: Path) -> Path:
    if not (shared / "reference" / "golden").is_dir():
        pytest.skip(f"no reference vectors in {shared}")
    return shared / "reference"


@pytest.fixture(scope="module")
def weights(reference: Path) -> ModuleType:
    """The rule that the reference networks' weights follow."""
    spec = importlib.util.spec_from_file_location("golden_weights", reference / "golden_weights.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=NAMES)
def golden(reference: Path, request: pytest.FixtureRequest) -> Golden:
    with np.load(reference / "golden" / f"{request.param}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    settings = json.loads(str(arrays["config"]))
    assert settings["first"] == "real" and settings["label_nc"]
    return Golden(request.param, settings, arrays)


def build(config: GeneratorConfig, weights: ModuleType, dtype: torch.dtype) -> VideoGenerator:
    generator = VideoGenerator(config)
    for label, network in generator.named_children():
        shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        arrays = weights.state_dict(label, shapes)
        network.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()}, strict=True)
    return generator.to(dtype)


@torch.inference_mode()
def render(golden: Golden, generator: VideoGenerator, dtype: torch.dtype) -> Rendered:
    """All outputs; every sequence starts anew from its own first frames."""
    config, window = generator.config, generator.config.n_frames
    label_THW = torch.from_numpy(golden.arrays["label"])
    instance_THW = torch.from_numpy(golden.arrays["inst"]) if config.use_instance else None
    first_T3HW = (torch.from_numpy(golden.arrays["first_u8"]).to(dtype) / 255 - 0.5) / 0.5
    frames: dict[str, list[Tensor]] = {name: [] for name in golden.outputs}
    start = 0
    for length in golden.settings.get("seq_lengths", [len(label_THW)]):
        part = slice(start, start + length)
        encoded_TLHW = encode(label_THW[part], None if instance_THW is None else instance_THW[part], config).to(dtype)
        state = start_from(config, first_T3HW[start : start + window - 1][None])
        for t in range(window - 1, length):
            state, out = step(generator, state, encoded_TLHW[t - window + 1 : t + 1][None])
            found = {"final": out.image_B3HW, "flow": out.flow_B2HW, "weight": out.weight_B1HW, "raw": out.raw_B3HW}
            found |= {f"final_scale{s}": h[:, -3:] for s, h in enumerate(state.history[:-1])}
            for name in golden.outputs:
                frames[name].append(found[name][0])
        start += length
    return {name: torch.stack(found).double().numpy() for name, found in frames.items()}


@pytest.fixture(scope="module")
def in_float64(golden: Golden, weights: ModuleType) -> Rendered:
    return render(golden, build(golden.config, weights, torch.float64), torch.float64)


@pytest.mark.shared
def test_every_kind_of_output_is_compared(golden: Golden) -> None:
    config = golden.config
    expected = {"final", "raw"} | ({"flow", "weight"} if config.flow else set())
    assert set(golden.outputs) == expected | {f"final_scale{s}" for s in range(config.n_scales - 1)}


@pytest.mark.shared
def test_float64_gives_the_reference_numbers(golden: Golden, in_float64: Rendered) -> None:
    for name, full in in_float64.items():
        if f"{name}_f64" in golden.arrays:
            np.testing.assert_allclose(full[..., 1::8, 2::8], golden.arrays[f"{name}_f64"], rtol=0, atol=1e-9)
        stored = golden.arrays[name]
        np.testing.assert_allclose(golden.stored_part(name, full), stored, rtol=0, atol=FLOAT32_ROUNDING, err_msg=name)


@pytest.mark.shared
def test_the_images_are_converted_as_the_reference_does(golden: Golden, in_float64: Rendered) -> None:
    image_THW3 = _to_uint8(torch.from_numpy(in_float64["final"]), 0).numpy()
    expected_THW3 = golden.arrays["final_u8"].transpose(0, 2, 3, 1)
    difference = np.abs(image_THW3.astype(int) - expected_THW3)
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-3  # ties only


@pytest.mark.shared
def test_float32_is_as_close_as_the_official_networks(golden: Golden, weights: ModuleType) -> None:
    """Per frame: ten times the difference that the reference itself has in float32, at least 1e-5."""
    official = json.loads(str(golden.arrays["official_float32_max_abs_diff"]))
    rendered = render(golden, build(golden.config, weights, torch.float32), torch.float32)
    for name, full in rendered.items():
        difference = np.abs(golden.stored_part(name, full) - golden.arrays[name]).reshape(len(full), -1).max(axis=1)
        bound = np.maximum(1e-5, 10 * np.array(official[name]))
        assert (difference <= bound).all(), f"{name}: {difference} above {bound}"


# Learned parameters and state_dict entries per scale of the official checkpoints, from the specification's section
# 2.2. What a frame's channels mean does not change a size, so faces and poses are built as that many labels.
STREET, NO_FOREGROUND = {"n_scales": 3}, {"use_instance": False, "fg_labels": ()}
FACE, POSE = {"label_nc": 15, **NO_FOREGROUND}, {"label_nc": 6, **NO_FOREGROUND}
OFFICIAL: dict[str, tuple[dict[str, Any], list[tuple[int, int]]]] = {
    "label2city_2048": (STREET, [(411_335_241, 533), (2_880_489, 197), (859_641, 197)]),
    "label2city_1024_g1": (STREET | {"n_downsample": 2}, [(137_792_649, 491), (3_830_217, 197), (1_140_969, 197)]),
    "edge2face_512": (FACE, [(364_996_230, 356)]),
    "edge2face_512_g1": (FACE | {"ngf": 64, "n_scales": 2}, [(91_370_310, 356), (608_550, 132)]),
    "pose2body_1024p": (POSE | {"n_scales": 3}, [(364_826_886, 356), (2_164_614, 132), (566_214, 132)]),
    "pose2body_1024p_g1": (POSE | {"ngf": 64, "n_scales": 3}, [(91_285_638, 356), (566_214, 132), (154_086, 132)]),
}


def on_meta(settings: dict[str, Any]) -> VideoGenerator:
    with torch.device("meta"):
        return VideoGenerator(GeneratorConfig(**settings))


@pytest.mark.parametrize("name", OFFICIAL)
def test_sizes_of_the_official_checkpoints(name: str) -> None:
    settings, expected = OFFICIAL[name]
    scales = on_meta(settings).scales
    assert [(sum(p.numel() for p in scale.parameters()), len(scale.state_dict())) for scale in scales] == expected


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
