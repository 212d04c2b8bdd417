"""Whole small runs on stills, on clips, and on both: one way for all, exact when they go on, for both families."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from flowreel.pipeline.generator.adaptive.generator import AdaptiveGenerator
from flowreel.pipeline.generator.checkpoint import read_checkpoint
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import engine_for
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.storage import open_store
from flowreel.pipeline.training.data.sampling import Batch
from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.initial_state import open_state
from flowreel.pipeline.training.log import Record, read_log
from flowreel.pipeline.training.plan import TrainPlan, prepare
from flowreel.pipeline.training.run import Run
from flowreel.schemas.errors import SourceError
from flowreel.schemas.training import TrainSpec

from .paired import write_paired
from .stills import SIDE, still, write_lite2, write_stills

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL: dict[str, Any] = {
    "data": {"size": [SIDE, SIDE], "void": ["ego vehicle"], "drop_edges": 0.3},
    "generator": {
        "architecture": "adaptive", "features": [4, 4, 6], "widths": [4, 6, 8], "style": 2, "motion": 4,
    },
    "discriminators": {"members": 0, "temporal_scales": 0, "segmentation": True},
    "schedule": {
        "epochs": 2, "decay_epochs": 0, "epoch_clips": 4, "double_every": 9, "clip_frames": 2, "empty_start": 0.5,
        "stills": 2, "moving_stills": 0.4, "half_size": 4,
    },
    "saving": {"every": 3, "keep": 100, "log_every": 1, "samples_every": 100},
    "execution": {"num_gpus": 0},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``stills``, ``clips`` and ``lite2.safetensors``."""
    root = tmp_path_factory.mktemp("mixed")
    write_stills(root / "stills", 3)
    write_paired(root / "clips", sequences=2, frames=5)
    write_lite2(root / "lite2.safetensors")
    return root


def spec_of(place: Path, output: Path, sources: str = "both", **groups: Any) -> TrainSpec:
    stills = {"uri": str(place / "stills"), "images": "{sequence}/images/*.png", "stills": True, "weight": 2}
    clips = {
        "uri": str(place / "clips"), "images": "{sequence}/images/*.png", "instances": "{sequence}/instances/*.png",
    }  # fmt: skip
    given = {"stills": [stills], "clips": [clips], "both": [stills, clips]}[sources]
    tree = SMALL | {"output": str(output), "sources": given}
    tree = tree | {"losses": {"segmentation_weights": str(place / "lite2.safetensors"), "reconstruction": 5}}
    return TrainSpec.model_validate(tree | {name: {**tree.get(name, {}), **group} for name, group in groups.items()})


def run(plan: TrainPlan) -> list[Record]:
    posted: list[Record] = []
    Run(plan, Worker(), open_state(plan, "cpu"), posted.append).train()
    return [record for record in posted if "L1" in record]


def newest(output: Path) -> dict[str, Any]:
    return torch.load(max((output / "state").iterdir()), weights_only=True)


@pytest.fixture(scope="module")
def finished(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("finished")
    run(prepare(spec_of(place, output)))
    return output


def test_a_mixed_run_leaves_a_generator_that_renders(place: Path, finished: Path) -> None:
    generator = load_generator(read_checkpoint(open_store(str(finished))), "cpu")
    assert isinstance(generator, AdaptiveGenerator)
    frame = still()
    given = Conditioning(frame.label_HW[None].repeat(3, 0), frame.instance_HW[None].repeat(3, 0))
    (clip,) = render_clips(engine_for(generator), [given], RenderOptions(flow=True))
    assert clip.image_THW3.shape == (3, SIDE, SIDE, 3) and clip.flow_THW2 is not None
    saved = newest(finished)
    assert not any(key.startswith("half_size") for key in saved["average"])
    assert saved["position"]["step"] == prepare(spec_of(place, finished)).total_steps


def test_stills_and_clips_have_their_terms(place: Path, finished: Path) -> None:
    plan = prepare(spec_of(place, finished))
    lines = [line for line in read_log(plan.output) if "L1" in line]
    assert all({"G_Seg", "D_Seg_real", "D_Seg_fake", "G_Seg_Feat"} <= line.keys() for line in lines)
    moved = [line for line in lines if "G_Warp" in line]
    assert moved and len(moved) < len(lines), "some steps are of clips, some of images alone"
    kinds = {type(plan.samples(e, r)[0]) for e in (1, 2) for r in range(plan.rounds)}
    assert len(kinds) == 2 and isinstance(plan.samples(1, 0)[0], Batch) and plan.round(1, 0).half


def test_going_on_is_exact(place: Path, finished: Path, tmp_path: Path) -> None:
    """Also from within the images at half the size."""
    steps = sorted(int(file.stem) for file in (finished / "state").iterdir())
    output = tmp_path / "again"
    shutil.copytree(finished, output)
    for later in steps[1:]:
        (output / "state" / f"{later:09d}.pt").unlink()
    plan = prepare(spec_of(place, output))
    assert plan.resumes_at == steps[0] < plan.total_steps
    run(plan)
    before, after = newest(finished), newest(output)
    assert before["position"] == after["position"]
    for part in ("networks", "average"):
        assert all(torch.equal(before[part][k], after[part][k]) for k in before[part])


@pytest.mark.parametrize("sources", ["stills", "clips"])
def test_stills_alone_and_clips_alone_train(place: Path, tmp_path: Path, sources: str) -> None:
    plan = prepare(spec_of(place, tmp_path, sources, schedule={"epochs": 1, "half_size": 0}))
    alone = [plan.round(1, r).alone for r in range(plan.rounds)]
    lines = run(plan)
    assert lines and any("F_Flow" in line for line in lines) == (not all(alone))
    assert any(alone) == (sources == "stills")


def test_vid2vid_learns_from_stills_too(place: Path, tmp_path: Path) -> None:
    tree = spec_of(place, tmp_path, schedule={"epochs": 1, "half_size": 0}).model_dump(exclude_unset=True)
    network = {"ngf": 4, "n_downsample": 2, "n_blocks": 2}
    judges = {"members": 1, "layers": 2, "width": 4, "temporal_scales": 1, "temporal_frames": 2}
    spec = TrainSpec.model_validate(tree | {"generator": network, "discriminators": judges, "losses": {}})
    lines = run(prepare(spec))
    assert lines and all("G_GAN" in line for line in lines)


def test_motion_learns_only_from_clips(place: Path, tmp_path: Path) -> None:
    plan = prepare(spec_of(place, tmp_path, "stills", schedule={"epochs": 1, "moving_stills": 0, "half_size": 0}))
    first = {k: v.clone() for k, v in open_state(plan, "cpu").networks.state_dict().items()}
    run(plan)
    after = newest(tmp_path)["networks"]
    same = {k for k in first if torch.equal(first[k], after[k])}
    assert {k for k in first if k.startswith(("generator.motion", "generator.recall"))} <= same
    assert "generator.image.decoder.picture.weight" not in same


def test_void_pixels_teach_nothing(place: Path, tmp_path: Path) -> None:
    """The gradient of a picture whose every pixel is void is zero."""
    every = ["ego vehicle", "road", "sky", "car"]
    plan = prepare(
        spec_of(
            place, tmp_path, "stills", data={"void": every}, schedule={"epochs": 1, "moving_stills": 0, "half_size": 0}
        )
    )
    first = {k: v.clone() for k, v in open_state(plan, "cpu").networks.generator.state_dict().items()}
    assert all(line["L1"] == 0 for line in run(plan))
    after = newest(tmp_path)["networks"]
    assert all(torch.equal(value, after[f"generator.{k}"]) for k, value in first.items())


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"data": {"size": [32, 32]}}, r"data\.size: size 32x32 .* at least 64"),
        ({"data": {"void": ["bonnet"]}}, r"data\.void: 'bonnet' is no class"),
        ({"data": {"hold_out": ["town"]}}, r"sources\.0: all its sequences are held out"),
    ],
    ids=["size", "void", "held-out"],
)
def test_what_cannot_be_is_refused(place: Path, tmp_path: Path, groups: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        prepare(spec_of(place, tmp_path, **groups))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": {"uri": "a", "images": "{sequence}/i/*.png"}}, "one of source"),
        ({"losses": {}}, "discriminators.segmentation and losses.segmentation_weights go together"),
        ({"generator": {"architecture": "adaptive", "ngf": 4}}, "ngf: not of the architecture 'adaptive'"),
        ({"generator": {"widths": [2, 3, 4]}}, "widths: not of the architecture 'vid2vid'"),
        ({"discriminators": {"members": 0}}, "members: 0 needs segmentation"),
    ],
    ids=["both", "weights", "foreign", "foreign too", "nothing judges"],
)
def test_specs_that_contradict_themselves(place: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    tree = spec_of(place, tmp_path).model_dump(exclude_unset=True) | {"output": "x"} | change
    with pytest.raises(ValueError, match=message):
        TrainSpec.model_validate(tree)


def test_real_stills_load(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "cityscapes-stills"
    if not root.exists():
        pytest.skip("no stills")
    town = tmp_path / "stills" / "train"
    for kind in ("images", "labels"):
        (town / kind).mkdir(parents=True)
        for file in sorted(root.glob(f"train/aachen/{kind}/*"))[::7][:3]:
            shutil.copy(file, town / kind)
    source = {"uri": str(tmp_path / "stills"), "images": "{sequence}/images/*.jpg", "stills": True}
    plan = prepare(
        TrainSpec.model_validate({"output": str(tmp_path), "sources": [source], "data": {"size": [256, 128]}})
    )
    assert plan.lengths == ((1, 1, 1),)
