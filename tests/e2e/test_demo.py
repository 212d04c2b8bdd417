"""`flowreel demo`: what a newcomer runs first."""

import io
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from .conftest import Flowreel

PICTURES = 144  # three streets of 24 frames in two variants


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_demo_leaves_a_dataset_a_picture_and_a_video(flowreel: Flowreel, tmp_path: Path) -> None:
    ended = flowreel("demo", tmp_path / "demo")
    assert ended.code == 0, ended.err
    for name in (
        "contact-sheet.png",
        "demo.mp4",
        "compare.html",
        "dataset/versions/000001/report/index.html",
        "spec.yaml",
    ):
        assert str(tmp_path / "demo" / name) in ended.out
    manifest = pq.read_table(tmp_path / "demo" / "dataset" / "versions" / "000001" / "manifest.parquet")
    assert len(manifest) == PICTURES
    assert set(map(tuple, manifest["edits"].to_pylist())) == {(), ("replace vegetation with building",)}
    sheet = np.asarray(Image.open(tmp_path / "demo" / "contact-sheet.png"))
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 1000  # pictures, not blank paper
    with av.open(io.BytesIO((tmp_path / "demo" / "demo.mp4").read_bytes()), mode="r") as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 3 * 256, 128)
        assert sum(1 for _ in video.decode(stream)) == PICTURES
    assert "1 of 1" in (tmp_path / "demo" / "compare.html").read_text()  # clips in which video is the steadier
    assert flowreel("verify", tmp_path / "demo" / "dataset").code == 0
    again = flowreel("demo", tmp_path / "demo")
    assert "nothing changed since the last run" in again.out


def test_a_spec_that_is_not_the_demos_stays(flowreel: Flowreel, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("mine: 1\n")
    ended = flowreel("demo", tmp_path)
    assert ended.code == 2 and "spec.yaml" in ended.err and "Traceback" not in ended.err
    assert (tmp_path / "spec.yaml").read_text() == "mine: 1\n" and not (tmp_path / "bucket").exists()
