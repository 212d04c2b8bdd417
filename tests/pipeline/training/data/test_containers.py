"""Training reads maps and images from archives as rendering does."""

from pathlib import Path

import numpy as np

from flowreel.pipeline.training.data.frames import read_frames
from tests.pipeline.training.paired import HEIGHT, WIDTH, opened, write_paired
from tests.support.containers import files_below, tar_of


def test_frames_of_archives_are_those_of_files(tmp_path: Path) -> None:
    root = write_paired(tmp_path / "plain")
    for name in ("seq_0", "seq_1"):
        tar_of(tmp_path / "packed" / f"{name}.tar", files_below(root / name))
    roles = {role: f"{{sequence}}.tar/{role}/*.png" for role in ("labels", "instances", "images")}
    plain = opened(root, tmp_path / "run")
    packed = opened(tmp_path / "packed", tmp_path / "other", source={"uri": str(tmp_path / "packed"), **roles})
    assert not packed.problems and packed.digest == plain.digest
    both = [read_frames(each, each.sequences[1].frames, (WIDTH, HEIGHT)) for each in (plain, packed)]
    for one, other in zip(*both, strict=True):
        for a, b in (
            (one.label_HW, other.label_HW),
            (one.instance_HW, other.instance_HW),
            (one.image_HW3, other.image_HW3),
        ):
            np.testing.assert_array_equal(a, b)
