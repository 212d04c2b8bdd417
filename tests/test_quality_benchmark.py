"""That the benchmark of quality measures what it says: on videos whose quality is known, and as a whole."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks import evaluation, quality, segmenter
from benchmarks.agreement import agreement
from benchmarks.measures import Video, diversity, drift, look, measure, there_and_back
from benchmarks.real_video import RealVideo, open_data
from benchmarks.segmenter import SegmenterTraining
from flowreel.pipeline.codec import decode_ids, encode_image
from flowreel.pipeline.generator.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from flowreel.pipeline.pictures import color_labels
from flowreel.pipeline.quality.segmenter_network import Segmenter, SegmenterFacts, load_segmenter
from flowreel.schemas.errors import SourceError, UsageError
from flowreel.schemas.label_spaces import BUILT_IN
from tests.conftest import MakeSource

pytestmark = pytest.mark.usefixtures("one_thread")
CITY = BUILT_IN["cityscapes"]
SIZE = (64, 32)
BRIEF = ["--minutes", "0.03", "--size", "64x32"]


@pytest.fixture(autouse=True)
def _short_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "LONG", 12)


@pytest.fixture(scope="module")
def moving() -> Video:
    """A texture that moves by two pixels a frame: (8, 64, 128, 3)."""
    noise = np.random.default_rng(0).uniform(0, 255, (64, 160, 3)).astype(np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), np.zeros(0), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return np.stack([texture[:, 2 * t : 2 * t + 128] for t in range(8)])


@pytest.fixture
def paired(tmp_path: Path, make_source: MakeSource) -> Path:
    """Two sequences of 4 frames, whose real frames show each class in its colour."""
    root = make_source(tmp_path / "real", sequences=2, frames=4, size=SIZE)
    for label in sorted(root.glob("*/labels/*.png")):
        image = label.parents[1] / "images" / f"{label.stem}.jpg"
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(encode_image(color_labels(decode_ids(label.read_bytes()), CITY), "jpeg", 95))
    return root


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Segmenter, RealVideo]:
    """A segmenter that has learnt three classes by their colours, and a video of them."""
    rng = np.random.default_rng(0)
    coarse = rng.choice([7, 21, 23], (6, 4, 8)).astype(np.uint8)
    label_THW = coarse.repeat(8, axis=1).repeat(8, axis=2)
    large = RealVideo("s", label_THW.repeat(2, axis=1).repeat(2, axis=2), label_THW, np.zeros(0, np.uint8))
    image_THW3 = color_labels(large.label_THW, CITY)
    training = SegmenterTraining(SegmenterFacts(label_space="cityscapes", classes=(7, 21, 23), size=SIZE, width=8))
    network = training.run([RealVideo("s", large.label_THW, large.label_THW, image_THW3)], 4, lambda line: None)
    return network, RealVideo("s", label_THW, label_THW, color_labels(label_THW, CITY))


def measured(video: Video, real: Video, taught: tuple[Segmenter, RealVideo]) -> dict[str, Any]:
    label_THW: NDArray[np.uint8] = np.full(video.shape[:3], 7, np.uint8)
    return asdict(measure([video], [real], [label_THW], taught[0]))


def test_the_real_video_equals_itself(moving: Video, taught: tuple[Segmenter, RealVideo]) -> None:
    found = measured(moving, moving, taught)
    assert found["l1"] == 0 and found["warp_error"] == found["warp_error_real_flow"] > 0
    assert asdict(drift(moving, moving, 4)) == {"color": 0, "contrast": 1, "sharpness": 1, "warp_error": 1}


def test_flicker_and_frames_out_of_order_raise_the_warp_errors(
    moving: Video, taught: tuple[Segmenter, RealVideo]
) -> None:
    steady = measured(moving, moving, taught)
    flicker = np.clip(moving + np.random.default_rng(1).normal(0, 12, moving.shape), 0, 255).astype(np.uint8)
    for worse in (flicker, moving[[0, 5, 2, 7, 4, 1, 6, 3]]):
        found = measured(worse, moving, taught)
        for name in ("warp_error", "warp_error_real_flow", "misalignment"):
            assert found[name] > 1.5 * steady[name], name


def test_what_stands_still_is_found_by_the_real_flow_alone(moving: Video, taught: tuple[Segmenter, RealVideo]) -> None:
    found = measured(np.stack([moving[0]] * len(moving)), moving, taught)
    assert found["warp_error"] == 0 and found["warp_error_real_flow"] > 0.02


def test_blur_and_grain_show_as_sharpness(moving: Video) -> None:
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 3) for frame in moving])
    grained = np.clip(moving + np.random.default_rng(1).normal(0, 12, moving.shape), 0, 255).astype(np.uint8)
    assert look(blurred).sharpness < look(moving).sharpness < look(grained).sharpness


def test_drift_names_what_drifts(moving: Video) -> None:
    """A video that fades to grey, and turns red."""
    fade = np.linspace(1, 0.5, len(moving))[:, None, None, None]
    faded = (128 + (moving.astype(float) - 128) * fade).astype(np.uint8)
    assert drift(faded, moving, 2).contrast < 0.7
    red = np.clip(moving + np.linspace(0, 40, len(moving))[:, None, None, None] * [1, 0, 0], 0, 255).astype(np.uint8)
    assert drift(red, moving, 2).color > 20 and drift(moving, moving, 2).color == 0


def test_diversity_is_the_mean_difference_of_pairs() -> None:
    black, grey = np.zeros((4, 8, 8, 3), np.uint8), np.full((4, 8, 8, 3), 51, np.uint8)
    fading = black.copy()
    fading[:2] = 51
    assert diversity([black, black, black], 2) == (0, 0)
    assert diversity([black, grey], 2) == pytest.approx((0.2, 0.2))
    assert diversity([black, fading], 2) == pytest.approx((0.1, 0))


def test_there_and_back() -> None:
    assert there_and_back(4, 9) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert there_and_back(1, 3) == [0, 0, 0]


def test_labels_agree_with_frames_that_show_them(taught: tuple[Segmenter, RealVideo]) -> None:
    network, video = taught
    right = agreement(network, video.image_THW3, video.label_THW)
    assert right.accuracy > 0.9 and right.mean_iou > 0.8 and set(right.iou) == {7, 21, 23}
    wrong = agreement(network, video.image_THW3[::-1].copy(), video.label_THW)
    assert wrong.accuracy < 0.7
    unknown = video.label_THW.copy()
    unknown[:, :16] = 33  # a class that it does not know does not count
    assert agreement(network, video.image_THW3, unknown).accuracy > 0.9
    with pytest.raises(ValueError, match="none of the classes that the segmenter knows"):
        agreement(network, video.image_THW3, np.full_like(video.label_THW, 33))


def test_a_segmenters_training_goes_on_where_it_stopped(
    tmp_path: Path, paired: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "seg.safetensors"
    command = [str(paired), str(out), "--hold-out", "seq_01", "--size", "64x32", "--minutes"]
    segmenter.main([*command, "0.005"])
    assert capsys.readouterr().out.startswith("seq_01: pixel accuracy ")
    state = tmp_path / "seg.safetensors.state"
    before = torch.load(state)["steps"]
    assert load_segmenter(out.read_bytes()).facts.sequences == ("seq_00",)

    segmenter.main([*command, "0.005"])  # the time is spent
    assert torch.load(state)["steps"] == before
    segmenter.main([*command, "0.02"])
    assert torch.load(state)["steps"] > before
    with pytest.raises(SystemExit, match="is the state of another training"):
        segmenter.main([str(paired), str(out), "--size", "64x32"])


def test_a_run_writes_table_numbers_video_and_sheet(
    tmp_path: Path, paired: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = copied(tiny_checkpoint, tmp_path / "checkpoint", held_out=["seq_01", "elsewhere"])
    seg, out = tmp_path / "seg.safetensors", tmp_path / "out"
    segmenter.main([str(paired), str(seg), "--hold-out", "seq_01", *BRIEF])
    baselines = ["--baseline", f"twin={checkpoint}", "--alone", f"single={checkpoint}"]
    quality.main([str(checkpoint), str(paired), "--segmenter", str(seg), "--out", str(out), *baselines])

    result = json.loads((out / "quality.json").read_text())
    assert result["sequences"] == {"seq_01": 4} and result["notices"] == []
    assert list(result["methods"]) == ["real", "ours", "twin", "single"]
    assert set(result["methods"]["real"]["relative"].values()) == {1.0}
    assert result["methods"]["twin"] == result["methods"]["ours"] != result["methods"]["single"]
    assert result["diversity"]["styles"] == 2 and result["diversity"]["whole"] > 0
    assert set(result["drift"]) == {"30", "12"}

    table = (out / "quality.md").read_text()
    assert table.strip() in capsys.readouterr().out and "| ours |" in table and "that of single." in table
    with av.open(str(out / "side-by-side.mp4")) as video:
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(shown) == 4 and shown[0].shape == (2 * (32 + 18), 3 * 64, 3)
    assert (out / "contact-sheet.png").stat().st_size > 1000


def test_what_is_not_given_is_made_and_said(tmp_path: Path, paired: Path, tiny_checkpoint: Path) -> None:
    """The segmenter from the other sequence, frame by frame from the same checkpoint."""
    arguments = [str(tiny_checkpoint), str(paired), "--sequences", "seq_00", "--out", str(tmp_path)]
    quality.main([*arguments, "--segmenter-minutes", "0.01"])
    result = json.loads((tmp_path / "quality.json").read_text())
    assert list(result["methods"]) == ["real", "ours", "frame by frame"]
    assert result["segmenter"]["sequences"] == ["seq_01"]
    assert "does not say that seq_00 were held out" in result["notices"][0]
    assert "not trained for it" in result["notices"][1]


def test_what_does_not_fit_is_refused(tmp_path: Path, paired: Path, tiny_checkpoint: Path) -> None:
    other, seg = tmp_path / "camvid", tmp_path / "seg.safetensors"
    copied(tiny_checkpoint, other, label_space="camvid11", label_nc=35)
    segmenter.main([str(paired), str(seg), "--minutes", "0.001", "--size", "64x32"])
    one = ["--sequences", "seq_00"]
    for arguments, message in (
        (["bundled", str(tmp_path / "nothing")], "nothing"),
        (["bundled", str(paired), "--sequences", "seq_07"], "no sequence 'seq_07' below .*: seq_00, seq_01"),
        ([str(other), str(paired), *one], "renders label space 'camvid11'"),
        ([str(tiny_checkpoint), str(paired), *one, "--size", "60x30"], "size 60x30 .* does not fit"),
        ([str(tiny_checkpoint), str(paired)], "none is left to train a segmenter on"),
        ([str(tiny_checkpoint), str(paired), *one, "--baseline", "ours=bundled"], "names of baselines must differ"),
        ([str(tiny_checkpoint), str(paired), *one, "--segmenter", str(tiny_checkpoint / WEIGHTS_FILE)], "no segmenter"),
    ):
        with pytest.raises(SystemExit, match=message):
            quality.main([*arguments, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_label_maps_without_a_real_frame_are_named(paired: Path) -> None:
    (paired / "seq_01/images/000002.jpg").unlink()
    with pytest.raises(SourceError, match="'seq_01': no image for 1 of 4 label maps, first '000002'"):
        open_data(str(paired))


def test_a_specs_source_may_remap_labels(tmp_path: Path, paired: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"source: {{uri: {paired}, remap: {{7: sidewalk}}, fps: 15}}\n")
    plain, mapped = open_data(str(paired)), open_data(str(spec))
    before, after = (d.read(["seq_00"], SIZE)[0].label_THW for d in (plain, mapped))
    assert np.array_equal(np.where(before == 7, 8, before), after) and (before == 7).any()
    assert mapped.fps == 15
    spec.write_text("sources: {}\n")
    with pytest.raises(UsageError, match="no `source:` in it"):
        open_data(str(spec))


def copied(checkpoint: Path, folder: Path, **changes: Any) -> Path:
    """A checkpoint whose config says something else."""
    folder.mkdir()
    (folder / WEIGHTS_FILE).write_bytes((checkpoint / WEIGHTS_FILE).read_bytes())
    config = json.loads((checkpoint / CONFIG_FILE).read_text()) | changes
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    return folder
