"""That the harness would see what it looks for: clips that are lost, twice there, or other than they should be."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.common import put
from tests.fault.harness.place import Undisturbed, Verdict
from tests.fault.harness.processes import HANGS
from tests.fault.harness.table import BEGIN, END, markdown
from tests.fault.harness.world import Row, rendered_again


@pytest.fixture
def copy(undisturbed: Undisturbed, dataset: Path) -> Path:
    shutil.copytree(undisturbed.folder, dataset)
    return dataset


def forge(dataset: Path, rows: pa.Table) -> None:
    """Another manifest."""
    folder = dataset / "versions/000001"
    pq.write_table(rows, folder / "manifest.parquet")
    record = json.loads((folder / "version.json").read_text())
    record["files"]["manifest.parquet"]["size"] = (folder / "manifest.parquet").stat().st_size
    (folder / "version.json").write_text(json.dumps(record))


def flaws(verdict: Verdict) -> tuple[int, int, int, bool]:
    return verdict.lost, verdict.duplicated, verdict.differing, verdict.identical


def test_a_copy_is_the_same_and_flaws_are_counted(undisturbed: Undisturbed, copy: Path) -> None:
    assert flaws(undisturbed.compare(copy)) == (0, 0, 0, True)
    good = pq.read_table(copy / "versions/000001/manifest.parquet")
    first, second = good["clip_id"].unique().to_pylist()[:2]
    is_first = pc.equal(good["clip_id"], first)
    forge(copy, good.filter(pc.invert(is_first)))
    assert flaws(undisturbed.compare(copy)) == (1, 0, 0, False)
    moved = good.filter(is_first).to_pylist()
    elsewhere = good.filter(pc.equal(good["clip_id"], second)).to_pylist()[0]
    for row in moved:
        row["shard"], row["row_group"] = elsewhere["shard"], elsewhere["row_group"]
    twice = pa.concat_tables([good, pa.Table.from_pylist(moved, schema=good.schema)])
    forge(copy, twice)
    assert undisturbed.compare(copy).duplicated == 1
    forge(copy, pa.concat_tables([good.filter(pc.invert(is_first)), pa.Table.from_pylist(moved, schema=good.schema)]))
    assert flaws(undisturbed.compare(copy)) == (0, 0, 1, False)


def test_files_that_are_not_whole_are_seen(undisturbed: Undisturbed, copy: Path) -> None:
    assert undisturbed.half_written(copy) == []
    victim = sorted((copy / "data").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-1])
    assert undisturbed.half_written(copy) == [victim.name]


def test_clips_that_are_rendered_again_are_counted() -> None:
    plan = "36 clips, 306 frames to render in 12 shards\n"
    assert rendered_again(9, plan + "resuming an interrupted run: 9 clips already done\n") == 0
    assert rendered_again(9, plan + "resuming an interrupted run: 6 clips already done\n") == 3
    assert rendered_again(9, plan) == 9


def test_the_table_names_what_went_wrong(tmp_path: Path) -> None:
    row = Row("storm", injected=7, commands=2, versions=1, clips=35, lost=1, identical=False, note="hail")
    row.allowed = {0}
    for code in (0, -9, HANGS):
        row.ended(code)
    assert not row.good
    place = tmp_path / "faults.md"
    put(place, markdown([row]), (BEGIN, END))
    text = place.read_text()
    assert (
        "| storm | 7 | 2 | 35 | 0 | 1 | 0 | 0 | 0 | 0 | 1 | -9 (1), 0 (1); **1 undocumented** | **no** |" in text
        and "- storm: hail" in text
    )
    put(place, "anew\n", (BEGIN, END))
    assert "storm" not in place.read_text() and "anew" in place.read_text()
