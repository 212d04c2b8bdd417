"""Verifying a version: a good one passes, and every kind of damage is named."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flowreel.pipeline.dataset.versions import open_version
from flowreel.pipeline.maintenance.verify import Verdict, verify
from flowreel.pipeline.storage import open_store

VERSION = "versions/000001"
Rows = list[dict[str, Any]]


@pytest.fixture
def dataset(published: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(published, tmp_path / "dataset"))


def verdict(dataset: Path) -> Verdict:
    return verify(open_version(open_store(str(dataset))))


def problem(dataset: Path) -> str:
    """The one problem there is."""
    (found,) = verdict(dataset).problems
    return found


def data_file(dataset: Path) -> Path:
    """The one with clips of three frames."""
    return next(f for f in sorted((dataset / "data").iterdir()) if pq.read_metadata(f).row_group(0).num_rows == 3)


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def test_a_good_version_passes_and_every_file_is_looked_at(dataset: Path) -> None:
    seen: list[tuple[int, int]] = []
    result = verify(open_version(open_store(str(dataset))), lambda done, total: seen.append((done, total)))
    assert result == Verdict(files=2, clips=4, frames=10, problems=())
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_one_flipped_bit_in_a_data_file(dataset: Path, share: float) -> None:
    file = data_file(dataset)
    flip(file, int(share * file.stat().st_size))
    assert problem(dataset).startswith(f"{file}: content changed: SHA-256 ")


def test_a_missing_data_file(dataset: Path) -> None:
    data_file(dataset).unlink()
    gone = ({row["path"] for row in pq.read_table(dataset / VERSION / "shards.parquet").to_pylist()}) - {
        f"data/{f.name}" for f in (dataset / "data").iterdir()
    }
    assert problem(dataset).startswith(f"{dataset / gone.pop()}: missing, but version 1 names it")


def test_a_truncated_data_file(dataset: Path) -> None:
    file = data_file(dataset)
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-10])
    assert problem(dataset).startswith(f"{file}: {size - 10:,} bytes, {size:,} were published")


@pytest.mark.parametrize(
    "name", ["manifest.parquet", "failures.parquet", "shards.parquet", "README.md", "croissant.json"]
)
def test_a_flipped_bit_in_a_file_beside_the_record(dataset: Path, name: str) -> None:
    flip(dataset / VERSION / name, 100)
    assert problem(dataset).startswith(f"{dataset / VERSION / name}: content changed: SHA-256 ")


def test_a_missing_table(dataset: Path) -> None:
    (dataset / VERSION / "manifest.parquet").unlink()
    assert str(dataset / VERSION / "manifest.parquet") in problem(dataset)


def test_one_damage_does_not_hide_another(dataset: Path) -> None:
    first, second = sorted((dataset / "data").iterdir())
    flip(first, 50)
    second.unlink()
    found = verdict(dataset).problems
    assert len(found) == 2
    assert any(str(first) in p and "content changed" in p for p in found)
    assert any(str(second) in p and "missing" in p for p in found)


# Wrong from the start: hashes fit, content does not


def write_table(place: Path, rows: pa.Table) -> None:
    pq.write_table(rows, place, compression="zstd")


def promise_anew(dataset: Path) -> None:
    """Makes shards.parquet and version.json promise what lies there now."""
    shards = dataset / VERSION / "shards.parquet"
    old = pq.read_table(shards)
    rows = [{"path": row["path"], **facts(dataset / row["path"])} for row in old.to_pylist()]
    write_table(shards, pa.Table.from_pylist(rows, schema=old.schema))
    record = dataset / VERSION / "version.json"
    tree = json.loads(record.read_text())
    tree["files"] = {name: facts(dataset / VERSION / name) for name in tree["files"]}
    tree["counts"]["bytes"] = sum(int(str(row["size"])) for row in rows)
    record.write_text(json.dumps(tree))


def facts(file: Path) -> dict[str, object]:
    data = file.read_bytes()
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def rewrite(file: Path, change: Callable[[Rows], object]) -> None:
    """Changes the rows of a data file's first clip."""
    old, sink = pq.ParquetFile(file), io.BytesIO()
    with pq.ParquetWriter(sink, old.schema_arrow) as writer:
        for group in range(old.num_row_groups):
            rows = old.read_row_group(group).to_pylist()
            if group == 0:
                change(rows)
            writer.write_table(pa.Table.from_pylist(rows, schema=old.schema_arrow))
        kept = {k: v for k, v in (old.metadata.metadata or {}).items() if k.startswith(b"flowreel.")}
        writer.add_key_value_metadata(kept)
    file.write_bytes(sink.getvalue())


def test_an_unchanged_rewrite_passes(dataset: Path) -> None:
    """The ground that the next tests stand on."""
    rewrite(data_file(dataset), lambda rows: None)
    promise_anew(dataset)
    assert verdict(dataset).problems == ()


def swap_rows(rows: Rows) -> None:
    rows[0], rows[1] = rows[1], rows[0]


def swap_labels(rows: Rows) -> None:
    rows[0]["label"], rows[2]["label"] = rows[2]["label"], rows[0]["label"]


def relabel(rows: Rows) -> None:
    """Other ids on as many pixels each."""
    sink = io.BytesIO()
    Image.fromarray(np.asarray(Image.open(io.BytesIO(rows[0]["label"]["bytes"]))) + 1).save(sink, "PNG")
    rows[0]["label"] = {"bytes": sink.getvalue(), "path": "a.png"}


def swap_kinds(rows: Rows) -> None:
    rows[0]["image"], rows[0]["label"] = rows[0]["label"], rows[0]["image"]


def break_image(rows: Rows) -> None:
    rows[1]["image"] = {"bytes": b"\xff\xd8\xff no picture", "path": "a.jpg"}


def shrink_instance(rows: Rows) -> None:
    sink = io.BytesIO()
    Image.new("L", (8, 4)).save(sink, "PNG")
    rows[2]["instance"] = {"bytes": sink.getvalue(), "path": "a.png"}


def rename(rows: Rows) -> None:
    for row in rows:
        row["sequence_id"] = "another"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap_rows, "column frame_index differs from the manifest for clip "),
        (lambda rows: rows.pop(), "2 rows, but the manifest has 3 of clip "),
        (swap_labels, " frame 0: class pixels of the label differ from the manifest"),
        (relabel, " frame 0: class pixels of the label differ from the manifest"),
        (swap_kinds, "where one channel of ids is needed"),
        (break_image, "no image: 14 bytes"),
        (shrink_instance, " frame 2: instance is 8x4, the manifest says 64x32"),
        (rename, "column sequence_id differs from the manifest for clip "),
    ],
)
def test_content_that_does_not_pair(dataset: Path, change: Callable[[Rows], object], said: str) -> None:
    file = data_file(dataset)
    rewrite(file, change)
    promise_anew(dataset)
    assert str(file) in problem(dataset) and said in problem(dataset)


@pytest.mark.parametrize("column", ["image", "label"])
def test_media_that_are_missing(dataset: Path, column: str) -> None:
    file = data_file(dataset)
    rewrite(file, lambda rows: rows[1].update({column: None}))
    promise_anew(dataset)
    assert str(file) in problem(dataset)


def test_a_manifest_that_lost_a_clip(dataset: Path) -> None:
    place = dataset / VERSION / "manifest.parquet"
    rows = pq.read_table(place)
    kept = rows.filter(pc.not_equal(rows["clip_id"], rows["clip_id"][0]))
    write_table(place, kept)
    promise_anew(dataset)
    found = verdict(dataset).problems
    assert f"{place}: 7 frames, version.json says 10" in found
    assert f"{place}: 3 clips, version.json says 4" in found


def test_a_clip_in_the_manifest_and_among_the_failures(dataset: Path) -> None:
    manifest, failures = (dataset / VERSION / name for name in ("manifest.parquet", "failures.parquet"))
    clip_id = pq.read_table(manifest)["clip_id"][0].as_py()
    row = {"clip_id": clip_id, "sequence_id": "s", "variant": 0, "start": 0, "frames": 3, "kind": "failed"}
    row |= {"reason": "why", "error": "", "attempts": 3}
    write_table(failures, pa.Table.from_pylist([row], schema=pq.read_schema(failures)))
    promise_anew(dataset)
    found = verdict(dataset).problems
    assert any("1 clip in both the manifest and failures.parquet" in p and clip_id in p for p in found)
    assert any("1 failed clips, version.json says 0" in p for p in found)


def test_a_manifest_with_other_columns(dataset: Path) -> None:
    place = dataset / VERSION / "manifest.parquet"
    write_table(place, pq.read_table(place).drop_columns(["generator"]))
    promise_anew(dataset)
    assert f"{place}: columns differ from the published schema" in verdict(dataset).problems


# A manifest that is a good table, and says something else than is there: everything is promised anew


def forge(dataset: Path, change: Callable[[Rows], object]) -> None:
    """Changes the rows of the manifest."""
    place = dataset / VERSION / "manifest.parquet"
    table = pq.read_table(place)
    rows = table.to_pylist()
    change(rows)
    write_table(place, pa.Table.from_pylist(rows, schema=table.schema))
    promise_anew(dataset)


def swap_frames(rows: Rows) -> None:
    rows[0], rows[1] = rows[1], rows[0]


def swap_row_numbers(rows: Rows) -> None:
    rows[0]["row"], rows[1]["row"] = rows[1]["row"], rows[0]["row"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap_frames, "column frame_index, row 0: 1, must be 0: a clip's frames follow each other in order"),
        (swap_row_numbers, "column row, row 0: 1, must be 0"),
        (lambda rows: rows[1].update(source_frame="seq_0/labels/9.png"), "'seq_0/labels/9.png', the data file says"),
        (lambda rows: rows[1].update(generator="0" * 32), "column generator: " + "0" * 32 + ", version.json says "),
        (lambda rows: rows[1].update(num_instances=77), "the manifest says 77"),
        (
            lambda rows: rows[1].update(warp_error=float("nan")),
            "column warp_error, row 1: nan, must be a finite",
        ),
        (lambda rows: rows[2].update(sharpness=float("inf")), "column sharpness, row 2: inf, must be a finite number"),
        (lambda rows: rows[1].update(sharpness=0.125), "0.125, the data file says"),
        (lambda rows: rows[0].update(class_ids=[7], class_pixels=[2048]), "class pixels of the label differ"),
        (lambda rows: rows[0].update(class_ids=[7]), "column class_pixels, row 0: "),
        (lambda rows: rows[0].update(class_ids=[300, 7], class_pixels=[1, 2]), "must be rising ids"),
        (lambda rows: rows[1].update(row_group=-1), "column row_group, row 1: -1, must be 0 to 2,147,483,647"),
        (lambda rows: [row.update(row_group=9) for row in rows[:3]], "row group 9 is named, but the file has 2"),
        (lambda rows: rows[1].update(shard=f"data/{'0' * 32}.parquet"), "one and the same in a clip's frames"),
        (lambda rows: [row.update(style="other") for row in rows], "'other', the data file says 'generate'"),
        (lambda rows: [row.update(split="val") for row in rows], "column split differs from the manifest"),
        (lambda rows: rows[1].update(width=None), "column width, row 1: None, must be given"),
    ],
)
def test_what_a_manifest_says_is_compared_with_what_is_there(
    dataset: Path, change: Callable[[Rows], object], said: str
) -> None:
    forge(dataset, change)
    assert any(said in text for text in verdict(dataset).problems)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("labels", "0" * 32, "column labels: '00000000000000000000000000000000', the data file says"),
        ("start", 17, "column start: 17, the data file says"),
        ("sequence_id", "other", "column sequence_id: 'other', the manifest says"),
        ("since", 2, "column since: 2, must be at most 1"),
        ("frames", 0, "column frames, row 0: 0, must be 1 to 2,147,483,647"),
    ],
)
def test_what_a_lineage_says_is_compared_too(dataset: Path, column: str, value: object, said: str) -> None:
    place = dataset / VERSION / "lineage.parquet"
    table = pq.read_table(place)
    rows = table.to_pylist()
    rows[0][column] = value
    write_table(place, pa.Table.from_pylist(rows, schema=table.schema))
    promise_anew(dataset)
    assert any(said in text for text in verdict(dataset).problems)


@pytest.mark.parametrize("name", ["sequences", "clips", "frames", "shards", "rendered", "reused", "dropped", "failed"])
def test_counts_of_the_record_are_compared(dataset: Path, name: str) -> None:
    place = dataset / VERSION / "version.json"
    tree = json.loads(place.read_text())
    tree["counts"][name] += 1
    place.write_text(json.dumps(tree))
    assert verdict(dataset).problems
