"""Clips as networks get them: real files in, augmented tensors out, flow that still fits the frames."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch
from torch import Tensor

from flowreel.pipeline.generator.warp import warp
from flowreel.pipeline.storage import open_store
from flowreel.pipeline.training.data.decoded_cache import Memory
from flowreel.pipeline.training.data.loader import ClipLoader, open_loader
from flowreel.pipeline.training.data.sampling import Draw, Sampling, draw, whole
from flowreel.pipeline.training.data.sources import open_data
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.schemas.errors import SourceError
from flowreel.schemas.training import TrainSpec

from ..paired import HEIGHT, PAN, WIDTH, panned, train_spec, write_paired

PLAIN = Draw(sequence=0, start=1, stride=1, frames=4, context=2)
AUGMENTED = {
    "plain": PLAIN,
    "mirrored": replace(PLAIN, flip=True),
    "every second frame": replace(PLAIN, stride=2),
    "cut": replace(PLAIN, crop=(20, 12)),
    "all of it": replace(PLAIN, flip=True, stride=2, crop=(20, 12)),
}


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_paired(tmp_path / "source", sequences=2, frames=8)


def loader_of(root: Path | str, run: Path | str, **groups: Any) -> ClipLoader:
    spec = train_spec(root, run, **groups)
    return open_loader(spec, open_data(spec))


def errors(clip: TrainingClip, flow_T2HW: Tensor) -> tuple[float, float]:
    """Mean difference of each frame from the one before moved by ``flow``, and from the one before as it is, where
    the clip's flow is sure."""
    before, now, sure = clip.real_T3HW[:-1], clip.real_T3HW[1:], clip.sure_T1HW[1:]
    moved = (warp(before, flow_T2HW[1:]) - now).abs() * sure
    still = (before - now).abs() * sure
    return float(moved.sum() / sure.sum()), float(still.sum() / sure.sum())


@pytest.mark.parametrize("drawn", AUGMENTED.values(), ids=AUGMENTED)
def test_flow_takes_the_frame_before_to_the_frame_after_any_augmentation(
    clean: Path, tmp_path: Path, drawn: Draw
) -> None:
    loader = loader_of(clean, tmp_path / "run", data={"crop": (64, 48)} if drawn.crop != (0, 0) else {})
    clip = loader.load(loader.data.trained[0], drawn)
    moved, still = errors(clip, clip.flow_T2HW)
    assert clip.sure_T1HW[1:].mean() > 0.6
    assert moved < 0.15 * still
    mirrored = clip.flow_T2HW * torch.tensor([-1.0, 1.0]).view(2, 1, 1)
    assert errors(clip, mirrored)[0] > 0.5 * still  # the sign matters
    expected = torch.tensor(PAN, dtype=torch.float32) * drawn.stride * torch.tensor([-1.0 if drawn.flip else 1.0, 1.0])
    found = clip.flow_T2HW[1:].flatten(2).movedim(1, -1)[clip.sure_T1HW[1:, 0].flatten(1) > 0].median(dim=0).values
    torch.testing.assert_close(found, expected, atol=0.15, rtol=0)


@pytest.mark.parametrize("drawn", AUGMENTED.values(), ids=AUGMENTED)
def test_flow_fits_real_frames(shared_data: Path, tmp_path: Path, drawn: Draw) -> None:
    data = {"size": (256, 128)} | ({"crop": (192, 96)} if drawn.crop != (0, 0) else {})
    loader = loader_of(
        shared_data / "cityscapes-sample", tmp_path / "run", data=data, source={"images": "{sequence}/images/*.jpg"}
    )
    clip = loader.load(loader.data.trained[0], replace(drawn, frames=6))
    moved, still = errors(clip, clip.flow_T2HW)
    assert 0.4 < clip.sure_T1HW[1:].mean() < 1 and moved < 0.6 * still


def test_a_clip_has_what_was_drawn(clean: Path, tmp_path: Path) -> None:
    loader = loader_of(clean, tmp_path / "run")
    clip = loader.load(loader.data.trained[1], PLAIN)
    assert clip.frames.shape == (4, HEIGHT, WIDTH) and clip.frames.dtype == torch.int64
    assert clip.instance_THW is not None and clip.instance_THW.dtype == torch.int32
    assert clip.real_T3HW.shape == (4, 3, HEIGHT, WIDTH) and not clip.starts_empty
    assert clip.flow_T2HW.shape == (4, 2, HEIGHT, WIDTH) and clip.sure_T1HW.shape == (4, 1, HEIGHT, WIDTH)
    assert not clip.flow_T2HW[0].any() and not clip.sure_T1HW[0].any()
    images = panned(1, 8)[1:5]
    np.testing.assert_array_equal(((clip.real_T3HW + 1) * 127.5).round().movedim(1, -1).numpy(), images)
    np.testing.assert_array_equal(clip.frames.numpy(), np.where(images[..., 0] > 128, 26, 7))
    np.testing.assert_array_equal(clip.instance_THW.numpy(), np.where(images[..., 0] > 128, 26001, 0))


def test_mirror_and_piece_are_the_same_for_all_of_a_clip(clean: Path, tmp_path: Path) -> None:
    plain, cut = loader_of(clean, tmp_path / "run"), loader_of(clean, tmp_path / "run", data={"crop": (64, 48)})
    sequence = plain.data.trained[0]
    clip, piece = plain.load(sequence, PLAIN), cut.load(sequence, replace(PLAIN, flip=True, crop=(20, 12)))
    assert clip.instance_THW is not None and piece.instance_THW is not None
    for a, b in (
        (clip.frames, piece.frames),
        (clip.instance_THW, piece.instance_THW),
        (clip.real_T3HW, piece.real_T3HW),
        (clip.flow_T2HW[:, 1], piece.flow_T2HW[:, 1]),
        (-clip.flow_T2HW[:, 0], piece.flow_T2HW[:, 0]),
    ):
        torch.testing.assert_close(a.flip(-1)[..., 12:60, 20:84], b, rtol=0, atol=0)
    lost = (clip.sure_T1HW.flip(-1)[..., 12:60, 20:84] - piece.sure_T1HW)[1:, 0]
    assert lost.min() == 0 and lost[:, 3:-3, 4:-4].max() == 0 and lost[:, :, 0].any()  # only where it left the piece


def test_an_empty_start_is_the_first_frame_again_without_any_flow(clean: Path, tmp_path: Path) -> None:
    loader = loader_of(clean, tmp_path / "run")
    clip = loader.load(loader.data.trained[0], replace(PLAIN, frames=6, empty=True))
    assert clip.starts_empty
    for part in (clip.frames, clip.instance_THW, clip.real_T3HW):
        assert part is not None and torch.equal(part[0], part[2]) and torch.equal(part[1], part[2])
        assert not torch.equal(part[2], part[3])
    assert not clip.flow_T2HW[:3].any() and not clip.sure_T1HW[:3].any()
    assert clip.sure_T1HW[3:].flatten(1).any(dim=1).all()


def test_labels_of_another_size_are_resized_by_nearest_neighbour_and_remapped(
    shared_data: Path, tmp_path: Path
) -> None:
    spec = TrainSpec.model_validate(
        {
            "output": str(tmp_path),
            "source": {
                "uri": str(shared_data / "camvid-0016E5"),
                "images": "{sequence}/images/*.jpg",
                "label_space": "camvid11",
                "remap": {6: "pole", "others": "keep"},
            },
            "data": {"size": (128, 96)},
        }
    )
    loader = open_loader(spec, open_data(spec))
    loader.data.check()
    assert loader.data.sources[0].label_nc == 12
    clip = loader.load(loader.data.trained[0], whole(0, 5, 2))
    ids = set(clip.frames.unique().tolist())
    assert clip.frames.shape == (5, 96, 128) and ids <= set(range(12)) - {6} and 2 in ids


def test_prefetched_clips_are_the_same_in_the_same_order(clean: Path, tmp_path: Path) -> None:
    loader = loader_of(clean, tmp_path / "run")
    how = Sampling(context=2, clip_frames=3, load_frames=1, size=(WIDTH, HEIGHT), max_stride=2, flip=0.5)
    draws = [draw((8, 8), how, 0, 1, i) for i in range(7)]
    for clip, drawn in zip(loader.clips(loader.data.trained, iter(draws)), draws, strict=True):
        again = loader_of(clean, tmp_path / "run").load(loader.data.trained[drawn.sequence], drawn)
        assert torch.equal(clip.frames, again.frames) and torch.equal(clip.flow_T2HW, again.flow_T2HW)
        assert torch.equal(clip.real_T3HW, again.real_T3HW) and torch.equal(clip.sure_T1HW, again.sure_T1HW)


def test_only_the_drawn_frames_are_read_and_only_once(clean: Path, tmp_path: Path) -> None:
    loader = loader_of(clean, tmp_path / "run")
    for file in (clean / "seq_0").glob("*/00000[067].png"):
        file.unlink()
    loader.load(loader.data.trained[0], PLAIN)
    for file in (clean / "seq_0").glob("*/*.png"):
        file.unlink()
    loader.load(loader.data.trained[0], PLAIN)
    with pytest.raises(SourceError, match="seq_0/labels/000005.png: gone since it was checked"):
        list(loader.clips(loader.data.trained, [PLAIN, replace(PLAIN, start=2)]))


def test_memory_keeps_what_was_used_last_within_its_bound() -> None:
    memory = Memory(10)
    for key in "abc":
        memory.put(key, key.upper(), 4)
        assert memory.get("a") == "A"  # used again each time, so "b" makes room
    assert [memory.get(key) for key in "abc"] == ["A", None, "C"] and memory.bytes == 8
    memory.put("c", "larger", 6)
    assert memory.bytes == 10 and memory.get("c") == "larger"
    memory.put("huge", "H", 11)
    assert memory.get("huge") is None and memory.bytes == 10


def test_a_clip_larger_than_memory_is_loaded_all_the_same(clean: Path, tmp_path: Path) -> None:
    loader = replace(loader_of(clean, tmp_path / "run"), memory=Memory(100_000))
    clip = loader.load(loader.data.trained[0], whole(0, 8, 2))
    plain = loader_of(clean, tmp_path / "run")
    assert torch.equal(clip.flow_T2HW, plain.load(plain.data.trained[0], whole(0, 8, 2)).flow_T2HW)
    assert 0 < loader.memory.bytes <= 100_000 < plain.memory.bytes


def test_a_caller_that_stops_early_leaves_nothing_running(clean: Path, tmp_path: Path) -> None:
    loader, asked = loader_of(clean, tmp_path / "run"), []

    def draws() -> Any:
        for i in range(100):
            asked.append(i)
            yield PLAIN

    clips = loader.clips(loader.data.trained, draws(), ahead=2)
    next(clips)
    clips.close()
    assert len(asked) == 3


@pytest.mark.s3
def test_clips_are_streamed_from_a_bucket_and_flow_is_kept_there(s3_env: dict[str, Any], tmp_path: Path) -> None:
    s3fs = pytest.importorskip("s3fs")
    bucket = f"test-{uuid4().hex[:12]}"
    s3fs.S3FileSystem(endpoint_url=s3_env["endpoint"]).mkdir(bucket)
    local = write_paired(tmp_path / "source", sequences=1, frames=5)
    store = open_store(f"s3://{bucket}/source")
    for file in local.rglob("*.png"):
        store.write(file.relative_to(local).as_posix(), file.read_bytes())
    there, here = loader_of(store.uri, f"s3://{bucket}/run"), loader_of(local, tmp_path / "run")
    assert there.flows[0].compute_all(there.flows[0].missing(there.data.trained), threads=2) == 4
    assert len(open_store(f"s3://{bucket}/run").list("cache/flow")) == 4
    (a,) = there.clips(there.data.trained, [PLAIN])
    b = here.load(here.data.trained[0], PLAIN)
    assert torch.equal(a.frames, b.frames) and torch.equal(a.real_T3HW, b.real_T3HW)
    assert torch.equal(a.flow_T2HW, b.flow_T2HW) and a.sure_T1HW.any()
