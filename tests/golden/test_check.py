"""The check itself: it fails on a changed number, an unknown array, a broken rule, and on nothing to check."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowreel.pipeline.generator import conditioning, features, layers, networks, rollout
from flowreel.pipeline.generator.layers import ClipNorm
from flowreel.pipeline.generator.warp import warp
from flowreel.pipeline.sources.keypoints import crop, drawing, pose_pictures
from tests.golden.check import How, check_file, check_folder, main
from tests.golden.engines import Clip, plain
from tests.golden.vectors import Report, find_weights

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.shared]

SMALL = "g05_s1_noflow_plain"
FLOW, TWO_SCALES, EMPTY = "g11_s1_two_frames_two_sequences", "g09_s2_single_local", "g06_s1_pose_nofirst"
FACE, IMAGE = "g10_s1_face_features", "p15_pix2pixHD_local_features"


@pytest.fixture(scope="module")
def how(golden: Path) -> How:
    return How(find_weights(golden))


@pytest.fixture
def changed(golden: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a file with other arrays; None leaves one out."""

    def write(name: str, **arrays: Any) -> Path:
        with np.load(golden / f"{name}.npz") as file:
            there = {key: file[key] for key in file.files}
        there |= {key: value(there[key]) if callable(value) else value for key, value in arrays.items()}
        (tmp_path / "vectors").mkdir(exist_ok=True)
        path = tmp_path / "vectors" / f"{name}.npz"
        np.savez(path, **{key: value for key, value in there.items() if value is not None})
        return path

    return write


def one_more(by: Any, place: int = 100) -> Callable[[np.ndarray], np.ndarray]:
    """Adds to a single value."""

    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flat[place] = array.flat[place] + array.dtype.type(by)
        return array

    return change


def summary_off(text: np.ndarray) -> np.ndarray:
    summary = json.loads(str(text))
    summary["raw"]["mean"] += 1e-8
    return np.array(json.dumps(summary))


def wrong(report: Report) -> list[str]:
    assert not report.ok and report.line.startswith("FAIL")
    return [d.what for d in report.differences if not d.ok]


# Changed files


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("final", one_more(1e-6)),
        ("final_f64", one_more(2e-9)),
        ("final_f64", one_more(np.nan)),
        ("raw", one_more(1e-6)),
        ("raw_f64", one_more(2e-9)),
        ("final_u8", one_more(1)),
    ],
)
def test_one_changed_value_fails(changed: Callable[..., Path], how: How, array: str, change: Any) -> None:
    assert wrong(check_file(changed(SMALL, **{array: change}), how)) == [array.removesuffix("_f64")]


def test_a_changed_sum_over_all_pixels_fails(changed: Callable[..., Path], how: How) -> None:
    assert wrong(check_file(changed(SMALL, summary=summary_off), how)) == ["raw mean"]


@pytest.mark.parametrize("array", ["flow", "weight", "flow_f64", "weight_f64"])
def test_flow_and_weight_are_compared(changed: Callable[..., Path], how: How, array: str) -> None:
    assert wrong(check_file(changed(FLOW, **{array: one_more(1e-5)}), how)) == [array.removesuffix("_f64")]


def test_coarse_scales_and_generated_frames_are_compared(changed: Callable[..., Path], how: How) -> None:
    arrays = {name: one_more(1e-5) for name in ("final_scale0", "first_generated")}
    assert sorted(wrong(check_file(changed(TWO_SCALES, **arrays), how))) == ["final_scale0", "first_generated"]


def test_features_are_compared(changed: Callable[..., Path], how: How) -> None:
    assert wrong(check_file(changed(IMAGE, feature_map=one_more(1e-6)), how)) == ["feature_map"]


def test_a_changed_value_fails_in_float32(changed: Callable[..., Path], how: How) -> None:
    only_float32 = replace(how, float64=False, float32=True)
    assert check_file(changed(SMALL), only_float32).ok
    assert wrong(check_file(changed(SMALL, final=one_more(3e-3)), only_float32)) == ["final"]
    assert wrong(check_file(changed(SMALL, final_u8=one_more(2)), only_float32)) == ["final_u8"]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"depth": np.zeros((4, 1, 32, 64))}, "unknown array depth"),
        ({"notes": np.array("by hand")}, "unknown array notes"),
        ({"final": lambda final: final[:-1]}, "final has shape (3, 3, 32, 64) in the file, (4, 3, 32, 64) here"),
        ({"label": None}, "there is no array label"),
        ({"first_u8": lambda first: first[:1]}, "first_u8 has 1 of the 2 frames before frame 2"),
        ({"config": None}, "it has no config"),
        ({"config": np.array('{"kind": "audio"}')}, "no known kind of file: kind audio"),
        ({"label": lambda label: label + np.uint8(30)}, "is not in 0..34"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    changed: Callable[..., Path], how: How, arrays: dict[str, Any], said: str
) -> None:
    report = check_file(changed(SMALL, **arrays), how)
    assert not report.ok and said in report.line


def test_a_file_with_inputs_only_fails(changed: Callable[..., Path], how: How) -> None:
    names = ("image", "image_f64", "feature_map", "feature_map_f64", "summary")
    report = check_file(changed(IMAGE, **dict.fromkeys(names)), how)
    assert not report.ok and "nothing was compared" in report.line


# Broken rules


def unbiased(
    x: Tensor, groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 0
) -> Tensor:
    y = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, unbiased=True) + eps).sqrt()
    return y if weight is None or bias is None else y * weight[:, None, None] + bias[:, None, None]


def running(self: ClipNorm, x: Tensor) -> Tensor:
    return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


def one_sided(instance: Tensor) -> Tensor:
    edge = torch.zeros_like(instance, dtype=torch.bool)
    edge[..., 1:] = instance[..., 1:] != instance[..., :-1]
    return edge


def other_corners(*given: Any, align_corners: bool, sample: Any = F.grid_sample, **named: Any) -> Tensor:
    return sample(*given, align_corners=not align_corners, **named)


def blended_at_once(*given: Any, start: Any = rollout.start_empty) -> Any:
    return replace(start(*given), raw_only=False)


RULES: dict[str, tuple[str, Any, str, Any]] = {
    "another eps": (SMALL, layers, "EPS", 1e-3),
    "unbiased variance": (SMALL, F, "group_norm", unbiased),
    "running statistics": (SMALL, ClipNorm, "forward", running),
    "zero padding": (SMALL, nn, "ReflectionPad2d", nn.ZeroPad2d),
    "corners not aligned": (FLOW, F, "grid_sample", other_corners),
    "another flow unit": (FLOW, networks, "FLOW_UNIT", 10.0),
    "the other way": (FLOW, networks, "warp", lambda image, flow: warp(image, -flow)),
    "edges on one side": (FLOW, conditioning, "instance_edges", one_sided),
    "padding counts": (TWO_SCALES, conditioning, "pool", lambda x: F.avg_pool2d(x, 3, 2, 1)),
    "blended from the start": (EMPTY, "tests.golden.engines", "start_empty", blended_at_once),
    "another picture range": (EMPTY, "tests.golden.networks", "from_uint8", lambda x, dtype: x.to(dtype) / 255),
    "features of the image itself": (FACE, features.FeatureTables, "forward", lambda self, vectors, there: vectors),
    "features per pixel": (IMAGE, "tests.golden.networks", "region_means", lambda features, regions: features),
    "another brush": ("e01_pose_encoding", pose_pictures, "BODY_BRUSH", 2),
    "fingers without confidence": ("e01_pose_encoding", pose_pictures, "HAND_LEAST", -1),
    "no steep curves": ("e02_face_encoding", drawing, "STEEPEST", 1e-3),
    "halves rounded up": ("e03_resize_rules", crop, "_rounded", lambda x, step: step * ((x + step // 2) // step)),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_fails(golden: Path, how: How, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    name, where, what, broken = RULES[rule]
    monkeypatch.setattr(*((f"{where}.{what}", broken) if isinstance(where, str) else (where, what, broken)))
    path = next(golden.glob(f"{name}.*"))
    assert wrong(check_file(path, how))


def test_another_engine_is_held_to_the_same(golden: Path, how: How) -> None:
    def sloppy(generator: networks.VideoGenerator, clip: Clip) -> dict[str, Tensor]:
        found = plain(generator, clip)
        return found | {"raw": found["raw"] + 1e-6}

    def lazy(generator: networks.VideoGenerator, clip: Clip) -> dict[str, Tensor]:
        return {"final": plain(generator, clip)["final"]}

    path = golden / f"{SMALL}.npz"
    assert set(wrong(check_file(path, replace(how, engine=sloppy)))) >= {"raw"}
    report = check_file(path, replace(how, engine=lazy))
    assert not report.ok and "unknown array raw" in report.line


# Folders and the command


def test_the_command_passes_and_fails(
    golden: Path, changed: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rule = ["--weights", str(golden.parent / "golden_weights.py")]
    folder = changed(SMALL).parent
    assert main([str(folder), *rule, "--float32"]) == 0 == main([str(folder), *rule, "--no-float64"])
    assert "1 of 1 files pass" in capsys.readouterr().out
    assert main([str(folder), *rule, "--engine", "fast"]) == 0
    changed(SMALL, final=one_more(0.1))
    assert main([str(folder), *rule]) == 1
    assert "0 of 1 files pass" in capsys.readouterr().out


def test_a_folder_with_nothing_to_check_fails(golden: Path, tmp_path: Path) -> None:
    rule = ["--weights", str(golden.parent / "golden_weights.py")]
    assert main([str(tmp_path / "gone"), *rule]) == 1
    assert main([str(tmp_path), *rule]) == 1


def test_an_unknown_file_fails(tmp_path: Path, how: How) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "numbers.json").write_text("[1]")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    (tmp_path / "more").mkdir()
    (tmp_path / "golden_weights.py").write_text("")  # the rule, no vector
    reports = {report.name: report for report in check_folder(tmp_path, how)}
    assert set(reports) == {"notes", "numbers", "broken", "more"}
    assert not any(report.ok for report in reports.values())


def test_without_the_weights_rule_the_check_says_so(
    changed: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = changed(SMALL).parent
    monkeypatch.setenv("FLOWREEL_SHARED", str(folder / "none"))
    assert main([str(folder)]) == 1
    assert f"looked for {folder.parent / 'golden_weights.py'}" in capsys.readouterr().out
