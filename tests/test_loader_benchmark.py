"""That the loader benchmark runs and adds up; how fast anything is, no test says."""

from pathlib import Path

import pytest
from PIL import Image

from benchmarks import loader
from benchmarks.loader_peers import LOADERS
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.sources.scenes import street_scene


def test_every_loader_gives_every_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str], one_thread: None) -> None:
    scene = street_scene(0, 3, (64, 32))
    for role in ("labels", "images"):
        (tmp_path / "seq" / role).mkdir(parents=True)
    for t, label in enumerate(scene.label_THW):
        (tmp_path / "seq/labels" / f"{t}.png").write_bytes(encode_ids(label))
        Image.new("RGB", (64, 32), (t, 0, 0)).save(tmp_path / "seq/images" / f"{t}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "LOADERS", {k: v for k, v in LOADERS.items() if k not in loader.MODULES})
        loader.main([str(tmp_path), "--clips", "3", "--rounds", "1", "--workers", "1"])
    printed = capsys.readouterr().out
    for name in ("flowreel", "flowreel-workers", "folders"):
        assert f"| disk | 1 | {name} |" in printed
    assert "Memory over 5 epochs" in printed
