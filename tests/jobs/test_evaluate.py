"""`flowreel evaluate`, `segmenter` and `worth` as users run them, on data of a few small frames."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from flowreel.jobs import cli
from flowreel.pipeline.evaluation import evaluate
from flowreel.pipeline.generator.checkpoint import WEIGHTS_FILE
from flowreel.pipeline.quality.segmenter_network import load_segmenter
from tests.conftest import MakeSource
from tests.pipeline.evaluation.real_data import SIZE, add_frames, copy_checkpoint

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


Flowreel = Callable[..., Ended]


@pytest.fixture
def flowreel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Flowreel:
    """Runs `flowreel ARGS` in this process."""

    def run(*args: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["flowreel", *map(str, args)])
        code = cli.run()
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture(autouse=True)
def _short_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "LONG", 12)


@pytest.fixture
def paired(tmp_path: Path, make_source: MakeSource) -> Path:
    """Two sequences of 4 frames, whose real frames show each class in its colour."""
    return add_frames(make_source(tmp_path / "real", sequences=2, frames=4, size=SIZE))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("evaluate", ["--segmenter FILE", "--baseline NAME=CHECKPOINT", "contact-sheet.png", "--sequence seq0004"]),
        ("segmenter", ["--hold-out NAME", "OUT.state", "--minutes 10"]),
        ("worth", ["--test NAME", "--seeds N", "dataset@3 --test seq0004"]),
    ],
)
def test_help_teaches(flowreel: Flowreel, command: str, says: list[str]) -> None:
    ended = flowreel(command, "--help")
    assert ended.code == 0 and "Exit codes: 0 done" in ended.out
    for text in says:
        assert text in ended.out


def test_a_segmenter_and_an_evaluation_with_it(
    flowreel: Flowreel, tmp_path: Path, paired: Path, tiny_checkpoint: Path
) -> None:
    checkpoint = copy_checkpoint(tiny_checkpoint, tmp_path / "checkpoint", held_out=["seq_01", "elsewhere"])
    file, out = tmp_path / "segmenter.safetensors", tmp_path / "out"
    trained = flowreel("segmenter", paired, file, "--hold-out", "seq_01", "--minutes", "0.03", "--size", "64x32")
    assert trained.code == 0 and trained.out.startswith("seq_01: pixel accuracy ")
    assert load_segmenter(file.read_bytes()).facts.sequences == ("seq_00",)

    baselines = ["--baseline", f"twin={checkpoint}", "--alone", f"single={checkpoint}"]
    ended = flowreel("evaluate", checkpoint, paired, out, "--segmenter", file, *baselines)
    assert ended.code == 0 and "evaluation.md, evaluation.json, side-by-side.mp4, contact-sheet.png" in ended.err
    numbers = json.loads((out / "evaluation.json").read_text())
    assert numbers["sequences"] == {"seq_01": 4} and numbers["notices"] == []
    assert list(numbers["methods"]) == ["real", "ours", "twin", "single"]
    assert set(numbers["methods"]["real"]["relative"].values()) == {1.0}
    assert numbers["methods"]["twin"] == numbers["methods"]["ours"] != numbers["methods"]["single"]
    assert numbers["diversity"]["styles"] == 2 and numbers["diversity"]["whole"] > 0
    assert set(numbers["drift"]) == {"30", "12"}

    table = (out / "evaluation.md").read_text()
    assert table.strip() in ended.out and "| ours |" in table and "that of single." in table
    with av.open(str(out / "side-by-side.mp4")) as video:
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(shown) == 4 and shown[0].shape == (2 * (32 + 18), 3 * 64, 3)
    assert (out / "contact-sheet.png").stat().st_size > 1000


def test_what_is_not_given_is_made_and_said(
    flowreel: Flowreel, tmp_path: Path, paired: Path, tiny_checkpoint: Path
) -> None:
    """The segmenter from the other sequence, frame by frame from the same checkpoint."""
    few = ["--sequence", "seq_00", "--segmenter-minutes", "0.01"]
    assert flowreel("evaluate", tiny_checkpoint, paired, tmp_path / "out", *few).code == 0
    numbers = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert list(numbers["methods"]) == ["real", "ours", "frame by frame"]
    assert numbers["segmenter"]["sequences"] == ["seq_01"]
    assert "does not say that seq_00 were held out" in numbers["notices"][0]
    assert "not trained for it" in numbers["notices"][1]


def test_what_does_not_fit_is_refused(flowreel: Flowreel, tmp_path: Path, paired: Path, tiny_checkpoint: Path) -> None:
    other, weights = tmp_path / "camvid", tiny_checkpoint / WEIGHTS_FILE
    copy_checkpoint(tiny_checkpoint, other, label_space="camvid11", label_nc=35)
    tiny, one, out = (tiny_checkpoint, paired), ["--sequence", "seq_00"], tmp_path / "out"
    for arguments, message in (
        (["bundled", tmp_path / "nothing"], "nothing"),
        (["bundled", paired, "--sequence", "seq_07"], "no sequence 'seq_07' below"),
        ([other, paired, *one], "renders label space 'camvid11'"),
        ([*tiny, *one, "--size", "60x30"], "does not fit"),
        ([*tiny, *one, "--size", "60"], "--size 60: give width and height in pixels"),
        (tiny, "none is left to train a segmenter on"),
        ([*tiny, *one, "--baseline", "ours=bundled"], "names of baselines must differ"),
        ([*tiny, *one, "--alone", "bundled"], "--alone bundled: give NAME=CHECKPOINT"),
        ([*tiny, *one, "--segmenter", weights], "train one with `flowreel segmenter DATA OUT`"),
    ):
        place, data, *rest = arguments
        ended = flowreel("evaluate", place, data, out, *rest)
        assert ended.code == 2 and message in ended.err and ended.out == "", (message, ended)
    assert not out.exists()

    ended = flowreel("segmenter", paired, tmp_path / "s", *("--hold-out", "seq_00"), *("--hold-out", "seq_01"))
    assert ended.code == 2 and "no sequence is left to train a segmenter on" in ended.err
    assert flowreel("segmenter", paired, f"{tmp_path}/").code == 2


def test_worth(flowreel: Flowreel, paired: Path, published: Path) -> None:
    brief = ["--steps", "2", "--seeds", "2", "--size", "64x32"]
    ended = flowreel("worth", paired, published, "--test", "seq_01", *brief)
    assert ended.code == 0 and "| both | 14 | " in ended.out and "seed 2 of 2, both: mIoU " in ended.err
    for arguments, message in (
        ([paired, published, "--test", "seq_07"], "no sequence 'seq_07' below"),
        ([paired, f"{published}@7", "--test", "seq_01"], "version 7"),
        ([paired, published], "--test"),
    ):
        ended = flowreel("worth", *arguments)
        assert ended.code == 2 and message in ended.err, ended
