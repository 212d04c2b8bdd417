"""What the tests of measuring share: a segmenter that knows three colours, and sequences with frames."""

from pathlib import Path

import numpy as np
import pytest

from flowreel.pipeline.evaluation.real_video import RealVideo
from flowreel.pipeline.evaluation.segmenter_training import SegmenterTraining
from flowreel.pipeline.pictures import color_labels
from flowreel.pipeline.quality.segmenter_network import Segmenter, SegmenterFacts
from tests.conftest import MakeSource

from .real_data import CITY, SIZE, add_frames


@pytest.fixture
def paired(tmp_path: Path, make_source: MakeSource) -> Path:
    """Two sequences of 4 frames, whose real frames show each class in its colour."""
    return add_frames(make_source(tmp_path / "real", sequences=2, frames=4, size=SIZE))


@pytest.fixture(scope="module")
def taught(one_thread: None) -> tuple[Segmenter, RealVideo]:
    """A segmenter that has learnt three classes by their colours, and a video of them."""
    coarse = np.random.default_rng(0).choice([7, 21, 23], (6, 4, 8)).astype(np.uint8)
    label_THW = coarse.repeat(8, axis=1).repeat(8, axis=2)
    large_THW = label_THW.repeat(2, axis=1).repeat(2, axis=2)
    training = SegmenterTraining(SegmenterFacts(label_space="cityscapes", classes=(7, 21, 23), size=SIZE, width=8))
    network = training.run_steps([list(zip(color_labels(large_THW, CITY), large_THW, strict=True))], 60)
    return network, RealVideo("s", label_THW, label_THW, color_labels(label_THW, CITY))
