"""A published dataset as training data."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from flowreel.pipeline.reader import dataset as reader
from flowreel.pipeline.training.data.loader import open_loader
from flowreel.pipeline.training.data.sampling import whole
from flowreel.pipeline.training.data.sources import open_data
from flowreel.schemas.errors import SourceError, UsageError
from flowreel.schemas.training import TrainSpec

pytestmark = pytest.mark.usefixtures("one_thread")


def spec_of(dataset: str, run: Path, **data: object) -> TrainSpec:
    return TrainSpec.model_validate(
        {
            "dataset": dataset, "output": str(run), "data": {"size": (64, 32), **data},
            "generator": {"n_downsample": 2, "n_frames": 2}, "schedule": {"empty_start": 1},
        }
    )  # fmt: skip


def test_clips_of_a_dataset_are_its_sequences(published: Path, tmp_path: Path) -> None:
    spec = spec_of(str(published), tmp_path, hold_out=["seq_01"])
    source = open_data(spec)
    source.check()
    clips = {c.clip_id[:8]: c for c in reader.open_dataset(str(published)).clips()}
    assert len(source.trained) == 2 and len(source.held_out) == 2 and len(clips) == 4
    assert {s.scene for s in source.held_out} == {"seq_01"} and source.space.name == "cityscapes"
    loader = open_loader(spec, source)
    for sequence in source.sequences:
        clip, told = loader.load(sequence, whole(0, len(sequence.frames), 1)), clips[sequence.name.split()[-1]]
        np.testing.assert_array_equal(clip.frames, told.label_THW)
        np.testing.assert_array_equal(clip.instance_THW, told.instance_THW)
        real = ((clip.real_T3HW + 1) * 127.5).round().movedim(1, -1)
        np.testing.assert_array_equal(real, told.image_THW3)
        assert clip.flow_T2HW.shape == (len(sequence.frames), 2, 32, 64) and torch.isfinite(clip.flow_T2HW).all()


def test_a_version_is_named_by_its_number(published: Path, tmp_path: Path) -> None:
    assert open_data(spec_of(f"{published}@1", tmp_path)) == open_data(spec_of(str(published), tmp_path))
    with pytest.raises(UsageError, match="has no version 7; published versions: 1"):
        open_data(spec_of(f"{published}@7", tmp_path))


def test_a_damaged_data_file_is_named(published: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    shutil.copytree(published, dataset)
    spec = spec_of(str(dataset), tmp_path / "run")
    source = open_data(spec)
    sequence = source.trained[0]
    file = dataset / sequence.frames[0].label.path
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(SourceError, match=rf"{file.name}: damaged: .*`flowreel verify`"):
        open_loader(spec, source).load(sequence, whole(0, 2, 1))
