"""A small dataset to refresh."""

from pathlib import Path

import pytest

from .small import Small


@pytest.fixture
def small(tmp_path: Path, tiny_checkpoint: Path, one_thread: None) -> Small:
    return Small(tmp_path / "source", str(tmp_path / "dataset"), tiny_checkpoint)
