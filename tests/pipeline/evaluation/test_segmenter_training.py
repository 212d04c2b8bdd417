"""That a segmenter's training resumes where it stopped, from its state alone."""

from pathlib import Path

import pytest
import torch

from flowreel.pipeline.evaluation.real_video import open_data
from flowreel.pipeline.evaluation.segmenter_training import train_segmenter
from flowreel.pipeline.storage import open_file
from flowreel.schemas.errors import UsageError

from .real_data import SIZE

pytestmark = pytest.mark.usefixtures("one_thread")


def test_training_resumes_where_it_stopped(tmp_path: Path, paired: Path) -> None:
    data, told, place = open_data(str(paired)), list[str](), tmp_path / "segmenter.state"

    def train(seconds: float, names: tuple[str, ...] = ("seq_00",)) -> int:
        segmenter = train_segmenter(data, names, SIZE, seconds, told.append, open_file(str(place)))
        assert segmenter.facts.sequences == names and not segmenter.training
        return int(torch.load(place)["steps"])

    steps = train(0.3)
    assert steps > 0
    assert train(0.3) == steps  # the time is spent
    assert train(0.9) > steps
    with pytest.raises(UsageError, match="is the state of another training"):
        train(0.3, ("seq_01",))
    place.write_bytes(place.read_bytes()[:1000])
    with pytest.raises(UsageError, match="is not the state of a training: remove the file"):
        train(0.3)


def test_there_must_be_something_to_learn_from(paired: Path) -> None:
    with pytest.raises(UsageError, match="no sequence is left to train a segmenter on"):
        train_segmenter(open_data(str(paired)), [], SIZE, 1, lambda line: None)
