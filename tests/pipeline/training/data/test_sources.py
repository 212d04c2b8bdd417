"""Training sources as real folders: what is found, and everything that can be wrong with it, by name."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flowreel.pipeline.codec import encode_ids, encode_image
from flowreel.pipeline.sources.file_index import load_index
from flowreel.pipeline.storage import Store, open_store
from flowreel.pipeline.training.data.frames import read_frames
from flowreel.pipeline.training.data.sources import open_source
from flowreel.schemas.errors import SourceError, UsageError

from ..paired import HEIGHT, WIDTH, opened, panned, put, train_spec, write_paired


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_paired(tmp_path / "source", sequences=2, frames=5)


def test_a_clean_source_has_its_sequences_and_no_problem(clean: Path, tmp_path: Path) -> None:
    source = opened(clean, tmp_path / "run", data={"hold_out": ["seq_1"]})
    source.check()
    assert [s.name for s in source.trained] == ["seq_0"] and [s.name for s in source.held_out] == ["seq_1"]
    assert source.label_nc == 35 and source.has_instances
    frames = source.trained[0].frames
    assert [f.name for f in frames] == [f"{t:06d}" for t in range(5)]
    assert frames[2].image.path == "seq_0/images/000002.png" and len(frames[2].image.digest) == 64
    assert pickle.loads(pickle.dumps(source)) == source


def test_a_known_source_is_listed_and_not_read_again(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[tuple[int, int]] = []
    first = open_source(train_spec(clean, tmp_path / "run"), lambda done, total: counts.append((done, total)))
    assert (20, 20) in counts and (10, 10) in counts  # label and instance maps, images
    assert len(load_index(open_store(str(tmp_path / "run")))) == 30
    read: list[str] = []
    real = Store.read
    monkeypatch.setattr(Store, "read", lambda self, path, size=None: read.append(path) or real(self, path, size))
    assert opened(clean, tmp_path / "run") == first
    assert read == ["cache/sources.parquet"]
    put(clean, "seq_1/images/000003.png", encode_image(panned(9, 1)[0], "png", 0))
    assert opened(clean, tmp_path / "run").digest != first.digest
    assert read[1:] == ["cache/sources.parquet", "seq_1/images/000003.png"]


def test_without_instance_maps_regions_of_things_stand_in_as_in_rendering(clean: Path, tmp_path: Path) -> None:
    source = opened(clean, tmp_path / "run", source={"instances": None})
    assert not source.has_instances
    frame = read_frames(source, source.sequences[0].frames[:1], (WIDTH, HEIGHT))[0]
    np.testing.assert_array_equal(frame.instance_HW, np.where(frame.label_HW == 26, 26, 0))


def png(array: Any) -> bytes:
    return encode_image(np.asarray(array, np.uint8), "png", 0)


def tiff(values: Any) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.asarray(values, np.float32)).save(sink, "TIFF")
    return sink.getvalue()


def npy(values: Any) -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.asarray(values, np.float32))
    return sink.getvalue()


def cut(root: Path) -> None:
    file = root / "seq_0/images/000001.png"
    file.write_bytes(file.read_bytes()[:300])


def shorten(root: Path, kept: int = 3) -> None:
    for file in root.glob("seq_1/*/*"):
        if int(file.stem) >= kept:
            file.unlink()


NAN = np.full((HEIGHT, WIDTH), 0.5)
NAN[3, 4:7] = np.nan
WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no image": (
        lambda r: (r / "seq_0/images/000001.png").unlink(),
        "sequence 'seq_0': no image for 1 of 5 label maps, first '000001'; add them, or leave those label maps out",
    ),
    "no label": (
        lambda r: [(r / f"seq_0/{role}/000004.png").unlink() for role in ("labels", "instances")],
        "sequence 'seq_0': no label map for 1 of 5 images, first seq_0/images/000004.png; add them, or leave",
    ),
    "no instances": (
        lambda r: (r / "seq_1/instances/000002.png").unlink(),
        "sequence 'seq_1': no instance map for 1 of 5 frames, first '000002'",
    ),
    "images only": (
        lambda r: put(r, "seq_2/images/0.png", png(np.zeros((4, 4, 3)))),
        "sequence 'seq_2': 1 images, but no label map; first seq_2/images/0.png",
    ),
    "one image of another size": (
        lambda r: put(r, "seq_0/images/000001.png", png(np.zeros((32, 48, 3)))),
        "seq_0/images/000001.png: size 48x32, but images of sequence 'seq_0' are 96x64; images of a sequence must have",
    ),
    "images of another shape": (
        lambda r: [put(r, f"seq_0/images/{t:06d}.png", png(np.zeros((64, 64, 3)))) for t in range(5)],
        "sequence 'seq_0': images are 64x64, label maps 96x64: width to height differ by 33%, at most 2%",
    ),
    "one label map of another size": (
        lambda r: put(r, "seq_0/labels/000001.png", encode_ids(np.full((32, 48), 7, np.uint8))),
        "seq_0/labels/000001.png: size 48x32, but sequence 'seq_0' is 96x64",
    ),
    "wrong id": (
        lambda r: put(r, "seq_0/labels/000001.png", encode_ids(np.full((HEIGHT, WIDTH), 99, np.uint8))),
        "label id 99 is unknown in label space 'cityscapes': 6,144 pixels in 1 file: seq_0/labels/000001.png",
    ),
    "cut image": (cut, "seq_0/images/000001.png: truncated or damaged image"),
    "float image with NaN": (
        lambda r: put(r, "seq_0/images/000001.png", tiff(NAN)),
        "seq_0/images/000001.png: F image of float32, 3 of 6144 values NaN or infinite; 8 bits per channel are needed",
    ),
    "array with NaN": (
        lambda r: put(r, "seq_0/images/000001.png", npy(NAN)),
        "seq_0/images/000001.png: NumPy array of float32, 3 of 6144 values NaN or infinite; 8 bits per channel",
    ),
    "too short": (
        shorten,
        "sequence 'seq_1': 3 frames, at least 4 are needed for schedule.load_frames 2 with generator.n_frames 3; leave",
    ),
}


@pytest.mark.parametrize(("harm", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_the_data_is_named(
    clean: Path, tmp_path: Path, harm: Callable[[Path], Any], said: str
) -> None:
    harm(clean)
    source = opened(clean, tmp_path / "run", schedule={"load_frames": 2})
    assert any(problem.startswith(said) for problem in source.problems), source.problems
    with pytest.raises(SourceError, match="cannot be trained on") as caught:
        source.check()
    assert said in str(caught.value)


SPEC_WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "crop": ({"data": {"crop": (128, 64)}}, "data.crop 128x64 is larger than data.size 96x64"),
    "size": (
        {"data": {"size": (98, 64)}},
        "data.size: size 98x64 (width x height) does not fit the networks: both must be multiples of 4",
    ),
    "cropped size": ({"data": {"crop": (30, 32)}}, "data.crop: size 30x32 (width x height) does not fit the networks"),
    "hold-out": (
        {"data": {"hold_out": ["seq_7"]}},
        "data.hold_out: there is no sequence 'seq_7'; there are: seq_0, seq_1",
    ),
    "all held out": (
        {"data": {"hold_out": ["seq_0", "seq_1"]}},
        "data.hold_out names all 2 sequences; leave at least one to train on",
    ),
    "held out too short": (
        {"data": {"hold_out": ["seq_1"]}, "generator": {"n_frames": 6}, "schedule": {"empty_start": 1}},
        "sequence 'seq_1': 5 frames, at least 6 are needed for generator.n_frames 6; hold out another one",
    ),
}


@pytest.mark.parametrize(("groups", "said"), SPEC_WRONG.values(), ids=SPEC_WRONG)
def test_what_does_not_fit_together_in_the_spec_is_named(
    clean: Path, tmp_path: Path, groups: dict[str, Any], said: str
) -> None:
    problems = opened(clean, tmp_path / "run", **groups).problems
    assert any(problem.startswith(said) for problem in problems), problems


def test_a_template_that_matches_no_image_says_what_lies_there(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"matches source.images '\{sequence\}/frames/\*.jpg'\n  it holds 30 files"):
        opened(clean, tmp_path / "run", source={"images": "{sequence}/frames/*.jpg"})


def test_a_remap_to_no_class_is_a_usage_error(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="source.remap: 'horse' is no class of label space 'cityscapes'"):
        opened(clean, tmp_path / "run", source={"remap": {7: "horse"}})


def test_a_file_that_changes_after_the_check_is_never_used(clean: Path, tmp_path: Path) -> None:
    source = opened(clean, tmp_path / "run")
    put(clean, "seq_0/labels/000000.png", encode_ids(np.full((HEIGHT, WIDTH), 8, np.uint8)))
    with pytest.raises(SourceError, match="seq_0/labels/000000.png: changed since it was checked"):
        read_frames(source, source.sequences[0].frames[:1], (WIDTH, HEIGHT))
