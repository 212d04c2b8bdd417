"""What `plan` says of memory holds for sources whose maps are far larger than what is rendered."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

MB = 10**6


def source_of(root: Path, side: tuple[int, int], count: int, kind: type) -> None:
    """A sequence of label maps of ``side`` (width, height), all the same."""
    folder = root / "source/a/labels"
    folder.mkdir(parents=True)
    ids_HW = np.kron(np.array([[7, 11], [21, 23]], kind), np.ones((side[1] // 2, side[0] // 2), kind))
    Image.fromarray(ids_HW).save(folder / "000.png", compress_level=1)
    for t in range(1, count):
        os.link(folder / "000.png", folder / f"{t:03d}.png")
    tree = {"dataset": {"uri": str(root / "dataset")}, "source": {"uri": str(root / "source")}}
    (root / "spec.yaml").write_text(yaml.safe_dump(tree | {"execution": {"num_gpus": 0, "num_cpus": 1}}))


@pytest.mark.slow
@pytest.mark.parametrize(("side", "count", "kind"), [((8192, 4096), 4, np.uint8), ((12000, 12000), 2, np.uint16)])
def test_planning_takes_what_is_predicted(side: tuple[int, int], count: int, kind: type, tmp_path: Path) -> None:
    source_of(tmp_path, side, count, kind)
    command = [sys.executable, "-m", "flowreel", "plan", str(tmp_path / "spec.yaml"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as planning:
        assert planning.stdout and planning.stderr
        figures = json.loads(planning.stdout.read())
        said = planning.stderr.read()
        _, status, usage = os.wait4(planning.pid, 0)
        planning.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * 1024
    assert planning.returncode == 0 and figures["problems"] == [] and said == b""
    assert 0.7 * peak < figures["driver_bytes"] < 1.5 * peak, f"{figures['driver_bytes'] / MB} MB, took {peak / MB} MB"
