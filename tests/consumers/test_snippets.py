"""Every piece of Python in docs/consume.md runs as it stands and prints what it should."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/consume.md").read_text(encoding="utf-8")
PIECES = [
    (section.split("\n")[0], code)
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    for code in re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
]
EXPECTED = [
    ("PyTorch", r"torch.Size\(\[\d, 8, 32, 64, 3\]\) torch.Size\(\[\d, 8, 32, 64\]\)"),
    ("PyTorch", "resumed"),
    ("PyTorch", r"\d+ \d+ \(\d+, 32, 64, 3\) uint8"),
    ("pyarrow", r"300 (?!0)\d+ \d+"),
    ("pandas", r"(?!0)\d+ b'\\x89PNG'"),
    ("polars", r"\((?!0)\d+, 5\) \d+"),
    ("DuckDB", r"\d+ b'\\xff\\xd8'"),
    ("DuckDB", r"\[\('(train|val)', \d+\), \('(train|val)', \d+\)\]"),
    ("Hugging Face datasets", r"300 \(64, 32\) L"),
    ("Hugging Face datasets", r"\(64, 32\) L"),
    ("Ray Data", r"300 \(32, 64\)"),
    ("PySpark", r"300 (?!0)\d+ \d+"),
    ("Croissant", r"dataset b'[0-9a-f]{32}'"),
    ("Other formats", r"\(32, 64, 3\) \(32, 64\) [0-9a-f]{32}"),
]


LIMIT_S = 500  # Ray and Spark start slowly on busy machines


def test_every_piece_has_an_expectation() -> None:
    assert [section for section, _ in PIECES] == [section for section, _ in EXPECTED]


@pytest.mark.timeout(2 * LIMIT_S)
@pytest.mark.parametrize("number", range(len(EXPECTED)), ids=lambda i: f"{i}-{EXPECTED[i][0]}")
def test_piece(number: int, place: Path, bucket: dict[str, str]) -> None:
    if EXPECTED[number][0] == "PySpark" and not _has_java():
        pytest.skip("no Java 17: PySpark needs one")
    env = bucket | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYSPARK_PYTHON": sys.executable, "HF_HOME": str(place / "hf"), "HF_HUB_OFFLINE": "1",
        "RAY_ADDRESS": "local", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", PIECES[number][1]], cwd=place, env=env, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert re.search(EXPECTED[number][1], run.stdout), run.stdout


def _has_java() -> bool:
    try:
        return subprocess.run(["java", "-version"], capture_output=True).returncode == 0
    except OSError:
        return False
