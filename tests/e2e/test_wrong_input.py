"""What people get wrong: one screen that says what to do, exit code 2, and nothing rendered."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flowreel.jobs import cli
from tests.support.label_source import MakeSource

from .conftest import write_spec

ONE_SCREEN = 24  # lines


class Setup:
    """A good source, spec and dataset place, to be spoilt."""

    def __init__(self, root: Path, checkpoint: Path) -> None:
        self.root, self.source, self.dataset = root, root / "source", root / "dataset"
        self.label = self.source / "seq_01" / "labels" / "000002.png"
        self.spec = write_spec(
            root / "spec.yaml",
            dataset={"uri": str(self.dataset)},
            source={"uri": str(self.source), "instances": "{sequence}/instances/*.png"},
            generator={"checkpoint": str(checkpoint)},
        )
        self.checkpoint = checkpoint

    def put(self, pixels: Any) -> None:
        Image.fromarray(pixels).save(self.label)


@pytest.fixture
def setup(tmp_path: Path, make_source: MakeSource, tiny_checkpoint: Path) -> Setup:
    make_source(tmp_path / "source", sequences=2, frames=5)
    return Setup(tmp_path, tiny_checkpoint)


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: object) -> tuple[int, str]:
    """Exit code and stderr of a command, in this process: it must end before Ray starts."""
    monkeypatch.setattr(sys, "argv", ["flowreel", *map(str, args)])
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("Ray was started"))
    return cli.run(), capsys.readouterr().err


Spoil = Callable[[Setup], list[str]]


def missing_bucket(s: Setup) -> list[str]:
    return ["--set", f"source.uri={s.root / 'nowhere'}"]


def no_sequence_in_template(s: Setup) -> list[str]:
    return ["--set", "source.labels=labels/*.png"]


def no_frames(s: Setup) -> list[str]:
    return ["--set", "source.labels={sequence}/lables/*.png"]


def truncated(s: Setup) -> list[str]:
    s.label.write_bytes(s.label.read_bytes()[:-20])
    return []


def two_sizes(s: Setup) -> list[str]:
    s.put(np.full((16, 32), 7, np.uint8))
    return []


def rgb(s: Setup) -> list[str]:
    s.put(np.full((32, 64, 3), (7, 8, 9), np.uint8))
    return []


def rgb_jpeg(s: Setup) -> list[str]:
    sink = io.BytesIO()
    Image.new("RGB", (64, 32)).save(sink, "JPEG")
    s.label.write_bytes(sink.getvalue())
    return []


def unknown_ids(s: Setup) -> list[str]:
    pixels = np.full((32, 64), 7, np.uint8)
    pixels[:2, :5] = 99
    s.put(pixels)
    return []


def gap(s: Setup) -> list[str]:
    s.label.unlink()
    return []


def stray_copy(s: Setup) -> list[str]:
    (s.label.parent / "000002 (copy).png").write_bytes(s.label.read_bytes())
    return ["--set", "source.instances=null"]


def missing_instances(s: Setup) -> list[str]:
    (s.source / "seq_01" / "instances" / "000002.png").unlink()
    return []


def no_checkpoint(s: Setup) -> list[str]:
    return ["--set", f"generator.checkpoint={s.root / 'nothing'}"]


def broken_checkpoint(s: Setup) -> list[str]:
    bad = s.root / "bad"
    bad.mkdir()
    (bad / "config.json").write_bytes((s.checkpoint / "config.json").read_bytes())
    (bad / "model.safetensors").write_bytes((s.checkpoint / "model.safetensors").read_bytes()[:-100])
    return ["--set", f"generator.checkpoint={bad}"]


def unknown_field(s: Setup) -> list[str]:
    return ["--set", "generator.chekpoint=x"]


def read_only(s: Setup) -> list[str]:
    return ["--set", "dataset.uri=/proc/flowreel"]


def below_a_file(s: Setup) -> list[str]:
    return ["--set", f"dataset.uri={s.spec}/dataset"]


def size_that_does_not_fit(s: Setup) -> list[str]:
    return ["--set", "generator.size=[100, 50]"]


def other_label_space(s: Setup) -> list[str]:
    return ["--set", "source.label_space=camvid11"]


def no_exemplar(s: Setup) -> list[str]:
    return ["--set", f"variants=[{{style: {s.root / 'dusk.png'}}}]"]


CASES: list[tuple[Spoil, list[str]]] = [
    (missing_bucket, ["nowhere", "does not exist"]),
    (
        no_sequence_in_template,
        ["source.labels", "'{sequence}' is missing from 'labels/*.png'; write it as in '{sequence}/labels/*.png'"],
    ),
    (no_frames, ["no frames found", "{sequence}/lables/*.png", "seq_00/instances/000000.png"]),
    (truncated, ["seq_01/labels/000002.png", "truncated"]),
    (two_sizes, ["seq_01/labels/000002.png", "32x16", "64x32"]),
    (rgb, ["seq_01/labels/000002.png", "RGB"]),
    (rgb_jpeg, ["seq_01/labels/000002.png", "RGB"]),
    (unknown_ids, ["label id 99", "10 pixels", "1 file: seq_01/labels/000002.png", "source.remap"]),
    (gap, ["seq_01", "missing between '000001' and '000003'"]),
    (stray_copy, ["seq_01", "seq_01/labels/000002 (copy).png: looks like a copy of seq_01/labels/000002.png"]),
    (missing_instances, ["seq_01", "no instance map", "000002"]),
    (no_checkpoint, ["generator.checkpoint", "nothing", "config.json"]),
    (broken_checkpoint, ["model.safetensors", "cut short"]),
    (unknown_field, ["generator.chekpoint", "unknown field", "did you mean 'checkpoint'?"]),
    (read_only, ["/proc/flowreel"]),
    (below_a_file, ["spec.yaml/dataset"]),
    (size_that_does_not_fit, ["generator.size [100, 50]", "multiples of 8", "are 96x48 and 104x56"]),
    (other_label_space, ["'cityscapes'", "'camvid11'", "source.remap"]),
    (no_exemplar, ["dusk.png", "does not exist"]),
]


@pytest.mark.parametrize(("spoil", "told"), CASES, ids=[spoil.__name__ for spoil, _ in CASES])
def test_told_before_anything_runs(
    setup: Setup,
    spoil: Spoil,
    told: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, err = run(capsys, monkeypatch, "render", setup.spec, *spoil(setup))
    assert code == 2, err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= ONE_SCREEN
    for words in told:
        assert words in err
    assert not list(setup.dataset.glob("data/*")) + list(setup.dataset.glob("versions/*"))


def test_many_problems_stay_on_one_screen(
    setup: Setup, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in setup.source.glob("*/labels/*.png"):
        label.write_bytes(label.read_bytes()[:-20])
    for label in setup.source.glob("*/instances/*.png"):
        label.write_bytes(b"nothing")
    code, err = run(capsys, monkeypatch, "render", setup.spec)
    assert code == 2
    assert "20 problems" in err
    assert "and 8 more" in err
    assert len(err.splitlines()) <= ONE_SCREEN


def test_missing_s3_bucket(
    setup: Setup, s3_env: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for field in ("source.uri", "dataset.uri"):
        code, err = run(capsys, monkeypatch, "render", setup.spec, "--set", f"{field}=s3://not-there/place")
        assert code == 2, err
        assert "s3://not-there" in err
        assert "bucket" in err


@pytest.mark.parametrize("args", [["bogus"], ["render"], ["verify", "/nowhere/at/all"], ["render", "/no/spec.yaml"]])
def test_bad_usage(args: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, err = run(capsys, monkeypatch, *args)
    assert code == 2, err
    assert "Traceback" not in err
