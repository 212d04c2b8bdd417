"""That benchmarks run and add up; how fast anything is, no test says."""

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import containers, cost_of_measures, generator, scale, timing
from benchmarks.deviation import psnr_db
from benchmarks.memory import per_clip_mb
from benchmarks.original import OriginalEngine
from benchmarks.report import BEGIN, END, in_readme
from benchmarks.subject import Subject, build_generator, make_clips, preset_config
from benchmarks.timing import FROM_MAPS
from flowreel.pipeline.generator.clips import render_clips
from flowreel.pipeline.generator.engine import PlainEngine
from flowreel.schemas.errors import UsageError

SMALL = ["--ngf", "8", "--size", "64x32", "--frames", "1", "--rounds", "2"]


@pytest.fixture(autouse=True)
def _small_matrices(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.setattr(timing, "MATMUL_SIDE", 64)


def measured(folder: Path, *arguments: str) -> dict[str, Any]:
    generator.main([*arguments, "--json", str(folder / "out.json")])
    result: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return result


def test_the_numbers_of_a_run_fit_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    result = measured(tmp_path, *SMALL, "--batches", "1", "2", "--no-memory", "--readme", str(readme))

    original = result["variants"][0]
    kinds = [("original", 1), ("plain", 1), ("fast", 1), ("fast", 2)]
    assert [(v["kind"], v["batch"]) for v in result["variants"]] == kinds
    for row in result["variants"]:
        assert len(row["seconds"]) == 2 and min(row["seconds"]) > 0
        assert row["seconds_per_frame"] == statistics.median(row["seconds"])
        assert row["frames_per_s"] == pytest.approx(1 / row["seconds_per_frame"])
        assert row["ratios"] == pytest.approx(
            [o / own for o, own in zip(original["seconds"], row["seconds"], strict=True)]
        )
        assert row["ratio"] == statistics.median(row["ratios"])
        flop = row["effective_flop_s"] * row["seconds_per_frame"]
        assert flop == pytest.approx(result["subject"]["plain_flop_per_frame"])
        assert row["share_of_matmul"] == pytest.approx(row["effective_flop_s"] / result["matmul_flop_s"]["float32"])
        assert row["memory"] is None
    assert set(result["preparation"]["float32"]) == {"build_s", "kernels_s", "compiled", "loaded"}
    assert result["deviation"] is None and result["settings"]["threads"] == 1

    table = capsys.readouterr().out
    assert "| original, float32 | 1 |" in table and "| fast, float32 | 2 |" in table
    assert readme.read_text() == f"before\n{BEGIN}\n{table.strip()}\n{END}\nafter\n"


def test_the_original_gives_the_plain_networks_frames(tiny_checkpoint: Path) -> None:
    subject = Subject("", (64, 32), str(tiny_checkpoint))
    network = build_generator(subject).double()
    clips = make_clips(subject, network.config, 1, 4)
    (original,) = render_clips(OriginalEngine(network), clips, FROM_MAPS)
    (plain,) = render_clips(PlainEngine(network), clips, FROM_MAPS)
    assert np.array_equal(original.image_THW3, plain.image_THW3)


def test_deviation_is_that_of_rounding(tmp_path: Path, tiny_checkpoint: Path) -> None:
    few = ["--batches", "1", "--frames", "1", "--rounds", "1", "--no-memory"]
    checkpoint = ["--checkpoint", str(tiny_checkpoint), "--size", "64x32"]
    result = measured(tmp_path, *few, *checkpoint, "--precision", "float32", "--precision-frames", "2")
    plain, fast = result["deviation"]["rows"]
    assert (plain["kind"], fast["kind"]) == ("plain", "fast")
    for row in (plain, fast):
        assert len(row["psnr_T"]) == 2 and row["summary"]["worst_db"] == min(row["psnr_T"])
    assert fast["summary"]["worst_db"] > 80 and 0 < fast["furthest"] < 0.1


def test_psnr_is_in_db_of_the_whole_range() -> None:
    wanted_13HW = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    assert psnr_db(wanted_13HW + 0.02, wanted_13HW) == pytest.approx(40)
    assert psnr_db(wanted_13HW, wanted_13HW) > 200


@pytest.mark.slow
def test_memory_is_measured_in_processes_of_their_own(tmp_path: Path) -> None:
    result = measured(tmp_path, *SMALL, "--batches", "1", "2")
    for row in result["variants"]:
        assert row["memory"]["peak_mb"] - row["memory"]["before_mb"] == pytest.approx(row["memory"]["increase_mb"])
        assert row["memory"]["increase_mb"] > 0
    assert isinstance(result["per_clip_mb"]["float32"], float)


def test_memory_per_clip_is_the_slope_of_the_peaks() -> None:
    assert per_clip_mb([1, 4, 8], [110, 140, 180]) == pytest.approx(10)
    assert per_clip_mb([4], [140]) is None


def test_flop_are_those_of_the_convolutions() -> None:
    """By hand, for the coarsest scale alone: two per multiplication and addition, transposed ones by their inputs."""
    changes = {"ngf": (n := 2), "n_downsample": 1, "n_blocks": 2}
    config = preset_config("pose2body_256p_g1").model_copy(update=changes)
    width, height = 32, 16
    full, half = width * height, width * height // 4  # pixels
    entries = 49 * n * (3 * config.frame_channels + 6) * full
    encoders, decoders = 2 * 9 * n * 2 * n * half, 2 * 9 * 2 * n * n * half
    blocks = 4 * 2 * 9 * (2 * n) ** 2 * half  # one per encoder and decoder, two convolutions each
    heads = 49 * n * (3 + 2 + 1) * full  # image, flow, weight
    assert timing.plain_flop(config, (width, height)) == 2 * (entries + encoders + decoders + blocks + heads)


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(UsageError, match="add them where the table belongs"):
        in_readme("nothing here", "table\n")


def test_an_unusable_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no sequence of 3 frames"):
        measured(tmp_path, *SMALL, "--batches", "1", "--source", str(tmp_path))


def test_the_cost_of_measures_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    cost_of_measures.main(["--size", "64x32", "--frames", "2", "--rounds", "1"])
    assert "| all measures | " in capsys.readouterr().out


@pytest.mark.slow
def test_scale_is_measured_with_the_real_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out.json"
    scale.main(["--clips", "1000", "--refresh", "1000", "--shards", "20", "--json", str(place)])
    found = json.loads(place.read_text())
    steps = ["plan", "save the plan as Parquet", "refresh, nothing to do", "publish"]
    assert [(c["step"], c["size"]) for c in found] == list(zip(steps, (1000, 1000, 1000, 20), strict=True))
    assert all(c["cpu_s"] > 0 and 0 < c["before_mib"] <= c["peak_mib"] for c in found)
    assert "| publish | 20 shards |" in capsys.readouterr().out


def test_every_way_to_hold_frames_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All frames are planned, found again and read; requests are those to a bucket, of which there is none here."""
    containers.main([str(tmp_path), "--frames", "120", "--size", "32x16"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    objects = {row[0]: row[1] for row in rows}
    assert objects == {"| PNGs": "120", "| tar per sequence": "2", "| one FFV1 video": "1", "| Parquet": "10"}
