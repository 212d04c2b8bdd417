"""Epochs' settings against vid2vid-spec, section 10.6, worked out by hand."""

from typing import Any

import pytest

from flowreel.pipeline.training.schedule import Stage, last_epoch, stage
from flowreel.schemas.training import TrainSpec


def spec(**parts: dict[str, Any]) -> TrainSpec:
    return TrainSpec.model_validate({"output": "out", "dataset": "some", **parts})


def stages(told: TrainSpec, longest: int = 200) -> list[Stage]:
    return [stage(epoch, told, longest) for epoch in range(1, last_epoch(told.schedule) + 1)]


def test_rate_falls_from_the_epoch_after_the_first_decaying_one() -> None:
    told = spec(schedule={"epochs": 2, "decay_epochs": 4}, optimiser={"lr": 0.4})
    assert [s.lr_generator for s in stages(told)] == pytest.approx([0.4, 0.4, 0.4, 0.3, 0.2, 0.1])
    assert [s.lr_image for s in stages(told)] == [s.lr_generator for s in stages(told)]


def test_no_decay_is_the_full_rate_to_the_end() -> None:
    told = spec(schedule={"epochs": 3, "decay_epochs": 0})
    assert {s.lr_generator for s in stages(told)} == {2e-4}


def test_ttur_factors_are_lost_when_the_rate_falls() -> None:
    told = spec(schedule={"epochs": 1, "decay_epochs": 2}, optimiser={"lr": 0.4, "ttur": True})
    assert [(s.lr_generator, s.lr_image) for s in stages(told)] == [(0.2, 0.8), (0.2, 0.8), (0.2, 0.2)]


def test_clips_double_up_to_the_longest_sequence() -> None:
    told = spec(schedule={"epochs": 8, "decay_epochs": 0, "double_every": 2, "clip_frames": 6})
    assert [s.clip_frames for s in stages(told, longest=30)] == [6, 6, 12, 12, 24, 24, 28, 28]
    assert stages(told, longest=5)[-1].clip_frames == 6, "it only grows"


def test_no_clip_is_longer_than_128_frames() -> None:
    told = spec(schedule={"epochs": 4, "decay_epochs": 0, "double_every": 1, "clip_frames": 60})
    assert [s.clip_frames for s in stages(told, longest=1000)] == [60, 120, 126, 126]


@pytest.mark.parametrize(
    ("load", "most", "expected"),
    [(6, 1, [1, 1, 1]), (6, 4, [1, 2, 3]), (6, 6, [1, 2, 3]), (5, 4, [1, 1, 2]), (2, 8, [1, 2, 2])],
)
def test_gradients_flow_back_over_equal_parts_of_a_load(load: int, most: int, expected: list[int]) -> None:
    told = spec(
        schedule={
            "epochs": 3, "decay_epochs": 0, "double_every": 1,
            "load_frames": load, "backprop_frames": most,
        }
    )  # fmt: skip
    assert [s.backprop_frames for s in stages(told)] == expected


def test_only_the_finest_of_several_scales_learns_at_first() -> None:
    schedule = {"epochs": 3, "decay_epochs": 0, "finest_only": 2}
    assert [s.finest_only for s in stages(spec(schedule=schedule, generator={"n_scales": 2}))] == [True, True, False]
    assert not any(s.finest_only for s in stages(spec(schedule=schedule)))


def test_adversarial_terms_grow_between_two_epochs() -> None:
    told = spec(schedule={"epochs": 6, "decay_epochs": 0}, losses={"adversarial_ramp": [2, 4]})
    assert [s.adversarial for s in stages(told)] == [0, 0, 0.5, 1, 1, 1]
