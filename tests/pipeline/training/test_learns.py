"""200 steps on real frames: a sequence that is not trained on is rendered better, and steadier, than at the start."""

from pathlib import Path

import pytest

from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.initial_state import open_state
from flowreel.pipeline.training.log import read_log
from flowreel.pipeline.training.plan import prepare
from flowreel.pipeline.training.run import Run
from flowreel.schemas.training import TrainSpec


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(900)
def test_200_steps_lower_error_and_warp_error_on_a_held_out_sequence(shared_data: Path, tmp_path: Path) -> None:
    plan = prepare(
        TrainSpec.model_validate(
            {
                "output": str(tmp_path),
                "source": {
                    "uri": str(shared_data / "cityscapes-sample"),
                    "instances": "{sequence}/instances/*.png",
                    "images": "{sequence}/images/*.jpg",
                },
                "data": {"size": [128, 64], "hold_out": ["seq0004"]},
                "generator": {"ngf": 16, "n_downsample": 2, "n_blocks": 3},
                "discriminators": {"members": 1, "width": 16, "temporal_scales": 1},
                "losses": {"reconstruction": 20, "flow": 1},
                "schedule": {
                    "epochs": 5, "decay_epochs": 5, "double_every": 10, "epoch_clips": 20,
                    "clip_frames": 4, "load_frames": 4, "empty_start": 0.5,
                },
                "saving": {"every": 200, "samples_every": 200},
                "execution": {"num_gpus": 0},
            }
        )
    )  # fmt: skip
    assert plan.total_steps == 200
    Run(plan, Worker(), open_state(plan, "cpu"), lambda record: None).train()
    start, end = (record for record in read_log(plan.output) if "held_out_l1" in record)
    assert start["step"] == 0 and end["step"] == 200
    assert end["held_out_l1"] < 0.7 * start["held_out_l1"], (start, end)
    assert end["held_out_warp_error"] < 0.7 * start["held_out_warp_error"], (start, end)
