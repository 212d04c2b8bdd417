"""The torch datasets: what samples are, who gets which, and going on within an epoch."""

import itertools
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from flowreel.pipeline.reader.dataset import open_dataset
from flowreel.pipeline.reader.torch_dataset import ClipDataset, Samples
from flowreel.pipeline.reader.torch_stream import ClipStream
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.errors import UsageError
from tests.conftest import LocalRun

Name = tuple[str, int]


def frames_of(dataset: Path | str, **options: Any) -> Samples:
    return Samples(open_dataset(str(dataset)), frames=1, **options)


def name(sample: dict[str, Any]) -> Name:
    return sample["clip_id"], int(sample["frame_index"][0])


def names(samples: Any) -> list[Name]:
    return [name(sample) for sample in samples]


def test_samples_are_the_clips_frames(published: Path) -> None:
    opened = open_dataset(str(published))
    samples = ClipDataset(Samples(opened, columns=("image", "label", "instance")))
    assert len(samples) == 4
    for i, clip in enumerate(opened.clips()):
        sample = samples[i]
        assert (sample["clip_id"], sample["frame_index"].tolist()) == (clip.clip_id, [*range(len(clip.label_THW))])
        assert (sample["image"].dtype, sample["label"].dtype) == (torch.uint8, torch.uint8)
        assert sample["instance"].dtype == torch.int32
        np.testing.assert_array_equal(sample["label"], clip.label_THW)
        np.testing.assert_array_equal(sample["instance"], clip.instance_THW)
        assert np.abs(sample["image"].numpy().astype(int) - clip.image_THW3).max() <= 3  # two JPEG decoders


def test_flow_stands_still_on_a_clips_first_frame(local_run: LocalRun) -> None:
    local_run.publish(local_run.prepare(output={"flow": True}))
    opened = open_dataset(str(local_run.dataset))
    clips, frames = ClipDataset(Samples(opened, columns=["flow"])), ClipDataset(Samples(opened, 1, columns=["flow"]))
    flow = clips[0]["flow"]
    assert (flow.dtype, flow.shape[1:]) == (torch.float32, (32, 64, 2))
    assert not flow[0].any() and flow[1].any()
    assert torch.equal(frames[0]["flow"], flow[:1])


def test_flow_that_is_not_published_is_an_error(published: Path) -> None:
    with pytest.raises(ValueError, match=r"flow of clip \w+, frame 1: not published; render with output.flow: true"):
        ClipDataset(frames_of(published, columns=["flow"]))[1]


def test_ranks_and_workers_see_every_frame_once(published: Path) -> None:
    orders = []
    for epoch in (0, 1):
        seen = []
        for rank in (0, 1):
            stream = ClipStream(frames_of(published), rank=rank, ranks=2)
            stream.set_epoch(epoch)
            seen += names(DataLoader(stream, batch_size=None, num_workers=2))
        assert sorted(seen) == sorted(names(map(ClipDataset(frames_of(published)).__getitem__, range(10))))
        orders.append(seen)
    assert orders[0] != orders[1]


def test_workers_that_live_on_get_the_next_epochs_order(published: Path) -> None:
    stream = ClipStream(frames_of(published))
    loader = DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)
    first = names(loader)
    stream.set_epoch(1)
    second = names(loader)
    assert first != second and sorted(first) == sorted(second)
    stream.set_epoch(0)
    assert names(stream) == first


@pytest.mark.parametrize("given", [0, 1, 7, 10])
def test_a_stream_goes_on_where_it_was(published: Path, given: int) -> None:
    stream = ClipStream(frames_of(published), seed=3)
    stream.set_epoch(2)
    whole = names(stream)
    before = ClipStream(frames_of(published), seed=3)
    before.set_epoch(2)
    names(itertools.islice(before, given))
    after = ClipStream(frames_of(published), seed=3)
    after.load_state_dict(before.state_dict())
    assert names(after) == whole[given:]
    assert names(after) == whole  # the next epoch is whole again


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("given", [1, 3])
def test_a_stateful_loader_goes_on_within_an_epoch(published: Path, workers: int, given: int) -> None:
    def loader() -> StatefulDataLoader[Any]:
        stream = ClipStream(frames_of(published), seed=1)
        return StatefulDataLoader(stream, batch_size=2, num_workers=workers, snapshot_every_n_steps=1)

    def batches(found: Any) -> list[list[Name]]:
        return [[*zip(b["clip_id"], b["frame_index"][:, 0].tolist(), strict=True)] for b in found]

    interrupted, resumed = loader(), loader()
    whole = batches(loader())
    batches(itertools.islice(interrupted, given))
    resumed.load_state_dict(interrupted.state_dict())
    assert batches(resumed) == whole[given:]


@pytest.mark.parametrize(
    ("other", "complaint"),
    [({"seed": 2}, "seed 1, now 2"), ({"rank": 1, "ranks": 2}, "reader 0, now 1"), ({"mixed_clips": 2}, "mixed_clips")],
)
def test_a_state_of_another_stream_is_refused(published: Path, other: dict[str, int], complaint: str) -> None:
    state = ClipStream(frames_of(published), seed=1).state_dict()
    options = {"seed": 1} | other
    with pytest.raises(UsageError, match=complaint):
        ClipStream(frames_of(published), **options).load_state_dict(state)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"rank": 2, "ranks": 2}, {"rank": 0}, {"threads": 0}, {"mixed_clips": 0}])
def test_senseless_streams_are_refused(published: Path, options: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        ClipStream(frames_of(published), **options)  # type: ignore[arg-type]


def test_each_clip_is_read_once_an_epoch(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    plain = Samples.rows
    monkeypatch.setattr(Samples, "rows", lambda self, clip: read.append(clip) or plain(self, clip))
    assert len(names(ClipStream(frames_of(published)))) == 10
    assert sorted(read) == [0, 1, 2, 3]


@pytest.mark.s3
def test_workers_read_from_a_bucket(s3_env: dict[str, Any], published: Path) -> None:
    s3fs = pytest.importorskip("s3fs")
    bucket = f"test-{uuid4().hex[:12]}"
    s3fs.S3FileSystem(endpoint_url=s3_env["endpoint"]).mkdir(bucket)
    remote, local = open_store(f"s3://{bucket}/dataset"), open_store(str(published))
    copy(local, remote)
    here = names(ClipStream(frames_of(published)))
    samples = frames_of(remote.uri)
    assert names(ClipStream(samples)) == here  # this process has connections when workers are forked from it
    there = names(DataLoader(ClipStream(samples), batch_size=None, num_workers=2))
    assert sorted(there) == sorted(here)


def copy(source: Store, target: Store) -> None:
    for info in source.list():
        target.write(info.path, source.read(info.path))
