"""The exit code says what a command did, whatever pyarrow's threads do while its process ends."""

import subprocess
import sys

import pytest

from .conftest import REPOSITORY

READ_AND_GO = """
import atexit, io
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from flowreel.jobs.terminal.exit import exit_process
atexit.register(print, "exit handlers run")
sink = io.BytesIO()
pq.write_table(pa.table({f"c{i}": np.arange(150) for i in range(30)}), sink)
pq.read_table(io.BytesIO(sink.getvalue()))
print("unflushed", end=" ")
exit_process(3)
"""


@pytest.mark.parametrize("_", range(10))
def test_a_process_ends_with_its_code_right_after_reading(_: int) -> None:
    ended = subprocess.run([sys.executable, "-c", READ_AND_GO], capture_output=True, text=True, cwd=REPOSITORY)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "unflushed exit handlers run\n", "")
