"""The check of training runs: it fails on a changed number, on what it does not know, and on a broken rule."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from flowreel.pipeline.training import step
from flowreel.pipeline.training.objective import (
    discriminators,
    face_crop,
    frame_groups,
    losses,
    objective,
    temporal_groups,
)
from tests.golden import training as golden_training
from tests.golden.training import Run, train
from tests.golden.training_log import compare_float64, unknown_contents
from tests.golden.vectors import Unusable, Vector, find_weights, read_vector

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.shared]
NAME = "t02_train_s2_pose_face_fixglobal"


@pytest.fixture(scope="module")
def vector(golden: Path) -> Vector:
    return read_vector(golden / f"{NAME}.npz")


@pytest.fixture(scope="module")
def run(golden: Path, vector: Vector) -> Run:
    return train(vector, find_weights(golden), torch.float64)


def changed(vector: Vector, name: str, change: Callable[[Any], None]) -> Vector:
    """With something else in one of its JSON arrays."""
    content = json.loads(str(vector.arrays[name]))
    change(content)
    return replace(vector, arrays=vector.arrays | {name: np.array(json.dumps(content))})


def wrong(vector: Vector, run: Run) -> list[str]:
    return [d.what for d in compare_float64(vector, run) if not d.ok]


def test_the_run_is_the_references(vector: Vector, run: Run) -> None:
    assert wrong(vector, run) == [] == unknown_contents(vector, run)


@pytest.mark.parametrize(
    ("name", "path", "what"),
    [
        ("log", (2, "losses", "W"), "step 2 W"),
        ("log", (1, "temporal", 1, "G_T_GAN_Feat"), "step 1 G_T_GAN_Feat1"),
        ("log", (0, "loss_D"), "step 0 loss_D"),
        ("log", (2, "loss_D_T", 1), "step 2 loss_D_T1"),
        ("first_gradient_norms", ("D_f.scale0_layer4.0.weight",), "D_f.scale0_layer4.0.weight"),
        ("final_parameters", ("D_T1", "param_sum"), "D_T1 param_sum"),
    ],
)
def test_one_changed_number_fails(vector: Vector, run: Run, name: str, path: tuple[Any, ...], what: str) -> None:
    def change(content: Any) -> None:
        *way, last = path
        for key in way:
            content = content[key]
        content[last] = content[last] * (1 + 1e-8) + (1e-3 if name == "final_parameters" else 0)

    assert wrong(changed(vector, name, change), run) == [what]


def test_frames_and_keys_are_compared(vector: Vector, run: Run) -> None:
    frames = vector.arrays["step0_weight"] + np.float32(1e-6)
    assert wrong(replace(vector, arrays=vector.arrays | {"step0_weight": frames}), run) == ["step0_weight"]
    other = changed(vector, "state_dict_shapes", lambda content: content["D"].pop("scale0_layer0.0.bias"))
    assert wrong(other, run) == ["keys of D"]


def test_another_number_of_steps_or_of_time_scales_fails(vector: Vector, run: Run) -> None:
    with pytest.raises(Unusable, match="the log has 2 steps, here there are 3"):
        wrong(changed(vector, "log", lambda log: log.pop()), run)
    with pytest.raises(Unusable, match="time scales"):
        wrong(changed(vector, "log", lambda log: log[0]["temporal"].clear()), run)


def test_what_nothing_is_compared_with_is_said(vector: Vector, run: Run) -> None:
    other = changed(vector, "log", lambda log: log[0].update(loss_H=1))
    other = replace(other, arrays=other.arrays | {"step1_flow": np.zeros(1)})
    assert unknown_contents(other, run) == ["unknown array step1_flow", "unknown log entry loss_H"]


def dense_but_first(*given: Any, choose: Any = temporal_groups.choose) -> Any:
    chosen, stores = choose(*given)
    return [groups[:1] for groups in chosen[:1]], stores


RULES: dict[str, tuple[Any, str, Any]] = {
    "the raw image is not judged": (objective, "BOTH", 1.0),
    "faces count once": (objective, "FACE", 1.0),
    "flow in pixels": (frame_groups, "FLOW_UNIT", 1.0),
    "steeper below zero": (discriminators, "SLOPE", 0.1),
    "another part is the face": (face_crop, "HEAD", 0.5),
    "slower moments": (step, "BETA2", 0.99),
    "another eps": (nn, "BatchNorm2d", partial(nn.BatchNorm2d, eps=1e-3)),
    "one time scale": (temporal_groups, "choose", dense_but_first),
    "features of the last layer too": (losses, "feature_matching", lambda fake, real: fake[0][-1].abs().mean()),
    "gradients of a single frame": (golden_training, "backprop_frames", lambda *_: 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_fails(golden: Path, vector: Vector, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    monkeypatch.setattr(*RULES[rule])
    run = train(vector, find_weights(golden), torch.float64)
    with suppress(Unusable):  # the log has other steps or time scales
        assert wrong(vector, run)
