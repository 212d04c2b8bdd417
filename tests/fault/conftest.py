"""A place with 36 clips in 12 shards, and what they look like undisturbed."""

from pathlib import Path

import pytest

from benchmarks.common import BUSY
from tests.fault.harness.place import Place, Undisturbed

SICK = 31  # a label id that only one clip has


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"), sequences=36, sick=(SICK,))


@pytest.fixture(scope="module")
def undisturbed(place: Place) -> Undisturbed:
    return Undisturbed(place)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


@pytest.fixture(autouse=True)
def _workers_get_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in BUSY.items():
        monkeypatch.setenv(name, value)
