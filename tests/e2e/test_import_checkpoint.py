"""`flowreel import-checkpoint` as people run it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flowreel.jobs.cli import app
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.schemas.errors import UsageError
from tests.support.label_source import MakeSource

from ..pipeline.generator.importing.official_files import build, write_official
from .conftest import Flowreel, write_spec

CONFIG = GeneratorConfig(ngf=4, n_downsample=2, n_blocks=2, n_scales=2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_official(tmp_path / "official", build(CONFIG))


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["import-checkpoint", *map(str, args)])


def test_what_was_found_and_assumed_is_told(source: Path, tmp_path: Path) -> None:
    result = run(source, tmp_path / "made", "--size", "64x32")
    assert result.exit_code == 0, result.output
    told = result.output.splitlines()
    assert told[0].startswith("video generator, 2 scales, ")
    assert "latest_net_G0.pth" in told[1] and "latest_net_G1.pth" in told[2]
    assert "  input      35 labels of cityscapes and instance edges" in told
    assert "  layout     ngf 4, 2 downsamplings, 2 blocks + 3, 3 frames at a time, flow, foreground of label 26" in told
    assert "  size       width and height in multiples of 8, best at 64x32" in told
    assert any(line.startswith("  assumed    36 channels per frame are") and "--label-nc 36" in line for line in told)
    assert told[-1].startswith(f"written to {tmp_path / 'made'}: ")


def test_json_holds_the_configuration(source: Path, tmp_path: Path) -> None:
    figures = json.loads(run(source, tmp_path / "made", "--dtype", "float16", "--json").output)
    assert figures["written"] and figures["renders_video"] and figures["size_multiple"] == 8
    assert figures["config"] == json.loads((tmp_path / "made" / "config.json").read_text())
    assert figures["weights_bytes"] == (tmp_path / "made" / "model.safetensors").stat().st_size
    assert [network["label"] for network in figures["networks"]] == ["G0", "G1"]


def test_a_dry_run_says_so(source: Path, tmp_path: Path) -> None:
    result = run(source, tmp_path / "made", "--dry-run")
    assert result.output.splitlines()[-1] == f"everything fits; nothing was written to {tmp_path / 'made'} (--dry-run)"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--fg-labels", "car"], "--fg-labels car: "),
        (["--size", "64"], "--size 64: "),
        (["--single", "x", "--no-single"], "--single and --no-single exclude each other"),
        (["--preset", "city"], "--preset city: no such preset"),
        (["--preset", "pose2body_512p_g1"], "ngf: 4 by the weights, 64 by --preset pose2body_512p_g1"),
        (["--input-nc", "36", "--use-instance"], "36 channels per frame by the weights"),
        (["--single", "/nowhere/latest_net_G.pth"], "/nowhere"),
    ],
)
def test_what_cannot_be_is_refused(source: Path, tmp_path: Path, args: list[str], said: str) -> None:
    result = run(source, tmp_path / "made", *args)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
    assert not (tmp_path / "made").exists()


def test_input_nc_means_pictures(source: Path, tmp_path: Path) -> None:
    result = run(
        source, tmp_path / "made", "--input-nc", "36", "--label-space", "drawings", "--fg-labels", "1", "--json"
    )
    config = json.loads(result.output)["config"]
    assert (config["label_nc"], config["input_nc"], config["label_space"]) == (0, 36, "drawings")


def test_the_process_ends_with_the_code_for_bad_input(source: Path, tmp_path: Path, flowreel: Flowreel) -> None:
    (source / "latest_net_G1.pth").write_bytes(b"not weights")
    ended = flowreel("import-checkpoint", source, tmp_path / "made")
    assert ended.code == 2 and not ended.out
    assert ended.err.startswith(f"flowreel: {source}/latest_net_G1.pth is not a PyTorch file but text ('not weights'")


def test_an_imported_checkpoint_is_planned_with(source: Path, tmp_path: Path, make_source: MakeSource) -> None:
    run(source, tmp_path / "made", "--size", "64x32")
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(tmp_path / "dataset")},
        source={"uri": str(make_source(tmp_path / "frames")), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tmp_path / "made")},
    )
    result = CliRunner().invoke(app, ["plan", str(spec), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["size"] == [64, 32]
