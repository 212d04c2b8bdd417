"""What tests of reference vectors share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    folder = shared / "reference" / "golden"
    if not folder.is_dir():
        pytest.skip(f"no reference vectors in {shared}")
    return folder
