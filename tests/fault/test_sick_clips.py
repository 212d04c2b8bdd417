"""Clips that kill or hang their worker fail alone, with a reason; the run ends, and does not try them again unasked."""

import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from flowreel.pipeline.codec import decode_ids
from flowreel.pipeline.dataset.versions import FAILURES_FILE, open_version
from flowreel.pipeline.storage import open_store
from tests.fault.harness.engine import Load, Sickness
from tests.fault.harness.place import Place, Undisturbed
from tests.fault.harness.processes import Driver

from .conftest import SICK

pytestmark = [pytest.mark.slow, pytest.mark.chaos]
CLIPS = 200


def test_a_clip_that_hangs_is_told_from_others_by_its_silence(
    place: Place, undisturbed: Undisturbed, dataset: Path
) -> None:
    spec = place.spec(dataset, failure={"max_attempts": 1, "max_failed_fraction": 0.1, "stall_s": 8})
    run = Driver(spec, Load(sick={SICK: Sickness("hangs")}))
    assert run.wait() == 3, run.said()
    verdict = undisturbed.compare(dataset)
    assert verdict.good and verdict.clips == 35
    (failure,) = verdict.failed
    assert (failure["sequence_id"], failure["attempts"]) == ("seq_000", 1)
    assert failure["reason"] == "its worker died: hung: no frame and no shard for 8 s (failure.stall_s)"


def test_one_poison_clip_among_200(tmp_path: Path) -> None:
    place, dataset = Place(tmp_path, CLIPS, (SICK,), lengths=[3]), tmp_path / "dataset"
    spec = place.spec(dataset, failure={"max_attempts": 2})
    poisoned = Load(sick={SICK: Sickness("dies")})
    first, began = Driver(spec, poisoned), time.monotonic()
    assert first.wait() == 3, first.said()
    assert time.monotonic() - began < 180
    version = open_version(open_store(str(dataset)))
    (failure,) = version.table(FAILURES_FILE).to_pylist()
    assert (failure["sequence_id"], failure["kind"], failure["attempts"]) == ("seq_000", "failed", 2)
    assert failure["reason"].startswith("its worker died: ")
    rows = version.manifest().to_pylist()
    assert len({row["clip_id"] for row in rows}) == CLIPS - 1 and len(rows) == 3 * (CLIPS - 1)
    for row in rows:
        group = pq.ParquetFile(dataset / row["shard"]).read_row_group(row["row_group"])
        published = decode_ids(group["label"][row["row"]]["bytes"].as_py())
        assert np.array_equal(published, decode_ids((place.source / row["source_frame"]).read_bytes()))

    again = Driver(spec, poisoned)  # would die of it once more
    assert again.wait() == 0, again.said()
    assert "not rendered again: 1 clip" in again.said() and "nothing changed" in again.said()

    mended = Driver(spec, Load(), "", "--retry-failed")
    assert mended.wait() == 0, mended.said()
    version = open_version(open_store(str(dataset)))
    assert (version.number, version.record.counts.rendered, version.record.counts.clips) == (2, 1, CLIPS)
