"""Exports hand on what was published and nothing else, to a place outside of the dataset."""

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowreel.pipeline.export.formats import FORMATS
from flowreel.pipeline.export.run import Summary, check_target, export
from flowreel.pipeline.reader.dataset import Dataset, open_dataset
from flowreel.pipeline.storage import TEMPORARY_SUFFIX, open_store, overlap
from flowreel.schemas.errors import DamagedMedia, IntegrityError, UsageError
from flowreel.schemas.manifest import ROWS_KEY
from flowreel.schemas.rules import ID
from tests.hostile.promises import promise, promise_data
from tests.hostile.table_damage import as_footer, footer_table, rewritten

EVERY = pytest.mark.parametrize("form", sorted(FORMATS))
Rows = list[dict[str, Any]]


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(published, tmp_path / "dataset"))


def rewrite(root: Path, change: Callable[[Rows], object]) -> None:
    """Changes the rows of each clip in data files and their footers; all hashes are promised anew."""
    for file in sorted((root / "data").iterdir()):

        def changed(_: int, rows: pa.Table) -> pa.Table:
            tree = rows.to_pylist()
            change(tree)
            return pa.Table.from_pylist(tree, schema=rows.schema)

        data = file.read_bytes()
        file.write_bytes(rewritten(data, changed, {ROWS_KEY: as_footer(footer_table(data, ROWS_KEY))}))
    promise_data(root)


def run(root: Path, form: str, target: str = "export") -> Path:
    place = root.parent / target
    export(open_dataset(str(root)), open_store(str(place)), FORMATS[form])
    return place


def files(place: Path) -> list[str]:
    return [p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()]


@EVERY
def test_a_flipped_byte_is_not_handed_on(root: Path, form: str) -> None:
    file = sorted((root / "data").iterdir())[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=rf"{file.name}: content changed: SHA-256 .*, published"):
        run(root, form)


@EVERY
def test_a_manifest_that_was_replaced_is_not_trusted(root: Path, form: str) -> None:
    place = root / "versions/000001/manifest.parquet"
    opened = open_dataset(str(root))
    pq.write_table(pq.read_table(place), place, compression="gzip")
    with pytest.raises(IntegrityError, match=r"manifest\.parquet: .* were published"):
        export(opened, open_store(str(root.parent / "export")), FORMATS[form])


@EVERY
def test_another_clip_id_never_names_a_file(root: Path, form: str) -> None:
    rewrite(root, lambda rows: [row.update(clip_id="../../x") for row in rows])
    with pytest.raises(IntegrityError, match=r"column clip_id, row 0: '\.\./\.\./x', must be 32 hex digits"):
        run(root, form)
    rewrite(root, lambda rows: [row.update(clip_id="a" * 32) for row in rows])
    with pytest.raises(IntegrityError, match=r"column clip_id of clip \w{32}, frame 0: 'a{32}', which is not what"):
        run(root, form, "other")


@EVERY
def test_the_ending_of_a_path_never_names_a_file(root: Path, form: str) -> None:
    rewrite(root, lambda rows: [row["image"].update(path="a.html") or row["label"].update(path="../b") for row in rows])
    place = run(root, form)
    found = files(place)
    if form == "webdataset":
        with tarfile.open(place / "train-000000.tar") as tar:
            found = tar.getnames()
    assert not [name for name in found if ".html" in name or ".." in name]
    assert form == "video" or any(name.endswith(".jpg") for name in found)


@EVERY
@pytest.mark.parametrize("column", ["image", "label"])
def test_foreign_bytes_are_refused(root: Path, form: str, column: str) -> None:
    page = b"<html><script>alert(1)</script></html>"
    rewrite(root, lambda rows: rows[0][column].update(bytes=page, path="a.png"))
    with pytest.raises(DamagedMedia, match=rf"clip {ID}, frame 0: {column}: .*b'<html><s'"):
        run(root, form)


@EVERY
def test_a_split_that_leads_elsewhere_is_refused(root: Path, form: str) -> None:
    place = root / "versions/000001/manifest.parquet"
    table = pq.read_table(place)
    split = pa.array(["../../x"] * len(table))
    pq.write_table(table.set_column(table.schema.get_field_index("split"), "split", split), place)
    promise(place.parent)
    rewrite(root, lambda rows: [row.update(split="../../x") for row in rows])
    with pytest.raises(UsageError, match=r"split '\.\./\.\./x' cannot name a file"):
        run(root, form)


@EVERY
@pytest.mark.parametrize("harm", ["gone", "other bytes", "another mark", "a mark of an earlier release"])
def test_a_repeated_export_looks_at_what_is_there(root: Path, form: str, harm: str) -> None:
    place = run(root, form)
    good = {name: (place / name).read_bytes() for name in files(place)}
    mark = sorted((place / ".flowreel/units").iterdir())[0]
    (exported,) = [place / name for name in sorted(good) if not name.startswith((".flowreel", "annotations"))][:1]
    if harm == "gone":
        exported.unlink()
    elif harm == "other bytes":
        exported.write_bytes(b"\0" + exported.read_bytes()[1:])
    else:
        other = mark.read_bytes().replace(b'"record"', b'"recorD"')
        mark.write_bytes(other if harm == "another mark" else b'{"split": "train"}')
    units = len(list((place / ".flowreel/units").iterdir()))
    again = export(open_dataset(str(root)), open_store(str(place)), FORMATS[form])
    assert again == Summary(4, 10, units, units - 1)
    assert {name: (place / name).read_bytes() for name in files(place)} == good


def test_what_a_killed_export_was_writing_is_removed_by_the_next(root: Path) -> None:
    place = run(root, "video")
    left = place / "train" / f".{'a' * 32}{TEMPORARY_SUFFIX}"
    own = place / f".notes{TEMPORARY_SUFFIX}"
    for file in (left, own):
        file.write_bytes(b"half")
    run(root, "video")
    assert not left.exists() and own.exists()  # a name that Flowreel does not give


@pytest.mark.parametrize("where", [".", "data", "export", "..", "link", "link/inner", "versions/000001"])
def test_no_export_into_or_around_the_dataset(root: Path, where: str) -> None:
    (root.parent / "link").symlink_to(root, target_is_directory=True)
    place = root.parent / where if where.startswith("link") else root / where
    before = files(root)
    with pytest.raises(UsageError, match="lie in one another; export to a folder outside of it"):
        export(open_dataset(str(root)), open_store(str(place)), FORMATS["video"])
    assert files(root) == before


def test_a_folder_beside_the_dataset_is_no_part_of_it(root: Path) -> None:
    dataset = open_store(str(root))
    for name in ("dataset-export", "export", "data"):
        check_target(dataset, open_store(str(root.parent / name)))


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("s3://bucket/city", "s3://bucket/city/export", True),
        ("s3://bucket/city", "s3a://bucket", True),
        ("s3://bucket/city", "s3://bucket/city", True),
        ("s3://bucket/city", "s3://bucket/city-export", False),
        ("s3://bucket/city", "s3://other/city", False),
        ("memory://bucket/city", "s3://bucket/city", False),
        ("s3://bucket/city", "/bucket/city", False),
    ],
)
def test_places_in_buckets(a: str, b: str, same: bool) -> None:
    assert overlap(open_store(a), open_store(b)) is same and overlap(open_store(b), open_store(a)) is same


def test_the_reader_checks_hashes_where_it_is_asked_to(root: Path, tmp_path: Path) -> None:
    file = sorted((root / "data").iterdir())[0]
    good = file.read_bytes()
    where = good.index(b"\xff\xd8\xff") + 300  # in an image: still a JPEG
    file.write_bytes(good[:where] + bytes([good[where] ^ 1]) + good[where + 1 :])

    def damaged(dataset: Dataset) -> int:
        bad = 0
        for clip in range(len(dataset)):
            try:
                dataset.rows(clip)
            except IntegrityError as error:
                bad += f"{file.name}: content changed" in str(error)
        return bad

    assert damaged(open_dataset(str(root))) == 0  # as it says
    held = str(tmp_path / "cache")
    assert damaged(open_dataset(str(root), cache=held)) == 0
    assert damaged(open_dataset(str(root), verify=True)) == 2
    assert damaged(open_dataset(str(root), verify=True, cache=held)) == 2  # what was cached unchecked is not trusted
    file.write_bytes(good)
    verified = open_dataset(str(root), verify=True, cache=held)
    assert damaged(verified) == 0
    shutil.rmtree(root / "data")
    assert damaged(open_dataset(str(root), verify=True, cache=held)) == 0  # all of it lies in the cache, checked


def test_a_damaged_cache_is_read_again(root: Path, tmp_path: Path) -> None:
    dataset = open_dataset(str(root), cache=str(tmp_path / "cache"))
    good = [dataset.rows(clip) for clip in range(len(dataset))]
    for place in (tmp_path / "cache").rglob("*"):
        if place.is_file():
            data = bytearray(place.read_bytes())
            data[len(data) // 2] ^= 1
            os.chmod(place, 0o644)
            place.write_bytes(data)
    again = open_dataset(str(root), cache=str(tmp_path / "cache"))
    assert all(again.rows(clip).equals(rows) for clip, rows in enumerate(good))
