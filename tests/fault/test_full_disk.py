"""A disk that fills up during a run: a message that says what to do, nothing broken, and the next run goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.harness.engine import Load
from tests.fault.harness.place import Place, Undisturbed, data_files
from tests.fault.harness.processes import Driver

pytestmark = [pytest.mark.slow, pytest.mark.chaos, pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")]


@pytest.fixture
def disk(tmp_path: Path, undisturbed: Undisturbed) -> Iterator[Path]:
    """A file system that holds half of the dataset."""
    place = tmp_path / "disk"
    place.mkdir()
    size = sum(path.stat().st_size for path in undisturbed.folder.rglob("*") if path.is_file()) // 2
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "flowreel", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_named_and_the_next_run_goes_on(place: Place, undisturbed: Undisturbed, disk: Path) -> None:
    dataset = disk / "dataset"
    spec = place.spec(dataset)
    full = Driver(spec, Load())
    assert full.wait() == 1, full.said()
    assert f"Cannot write {dataset}/" in full.said() and "the disk is full" in full.said()
    assert "Free some space" in full.said() and "run the same command to resume" in full.said()
    assert 0 < len(data_files(dataset)) < len(undisturbed.files) and not undisturbed.half_written(dataset)

    subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
    resumed = Driver(spec, Load())
    assert resumed.wait() == 0, resumed.said()
    assert undisturbed.compare(dataset).identical
