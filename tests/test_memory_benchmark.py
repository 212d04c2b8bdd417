"""That memory is predicted: `benchmarks.memory_prediction` on real runs, whose code is 1 beyond a fifth."""

from pathlib import Path

import pytest

from benchmarks import memory_prediction
from benchmarks.memory_prediction import Case, Peaks


@pytest.mark.slow
def test_memory_is_foretold_within_a_fifth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "README.md"
    code = memory_prediction.main(["--cases", "bundled:256x128", "--readme", str(readme)])
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "| `bundled` | 256x128 |" in told.out and told.out.strip() in readme.read_text()


def test_a_prediction_that_is_off_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"driver": 81, "actor": 124}

    def peaks(*_: object) -> Peaks:
        return Peaks(actor_said=100, actor=found["actor"], driver_said=100, driver=found["driver"])

    monkeypatch.setattr(memory_prediction, "_alone", peaks)
    one = ["--cases", "bundled:64x32:2:bfloat16", "--readme", str(tmp_path / "README.md")]
    assert peaks().error == pytest.approx(1 / 0.81 - 1)
    assert memory_prediction.main(one) == 1
    found["driver"] = 84
    assert memory_prediction.main(one) == 0


def test_a_case_has_defaults() -> None:
    assert memory_prediction._case("bundled:512x256") == Case("bundled", (512, 256), 1, "float32")
    assert memory_prediction._case("x:64x32:4:bfloat16") == Case("x", (64, 32), 4, "bfloat16")
