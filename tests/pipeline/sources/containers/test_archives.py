"""Tar and zip archives, and Parquet: the same frames give the same clips, whatever holds them."""

import pickle
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from flowreel.pipeline.maintenance.provenance import rendered_from
from flowreel.pipeline.maintenance.rerender import rerender
from flowreel.pipeline.sources.catalog import Catalog, scan
from flowreel.pipeline.sources.containers.members import MEMBERS
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.sources.containers.store import ContainerStore
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.sources.verified_read import read_all_unchanged
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.errors import SourceError
from flowreel.schemas.source import SourceSpec
from tests.support.containers import files_below, parquet_of, tar_of, zip_of
from tests.support.local_run import LocalRun

TEMPLATES = {"labels": "{sequence}/labels/*.png", "instances": "{sequence}/instances/*.png"}


def packed(run: LocalRun, kind: str) -> Mapping[str, object]:
    """The run's source in containers: what the spec has to say of it."""
    files, root = files_below(run.source), run.root / kind
    names = sorted({path.split("/")[0] for path in files})
    if kind in ("tar", "zip"):
        for name in names:
            inner = {path.removeprefix(f"{name}/"): data for path, data in files.items() if path.startswith(f"{name}/")}
            (tar_of if kind == "tar" else zip_of)(root / f"{name}.{kind}", inner)
        return {"uri": str(root)} | {role: f"{{sequence}}.{kind}/{role}/*.png" for role in TEMPLATES}
    if kind == "shards":  # WebDataset: one key, several endings, sequences that go on in the next shard
        keys = {f"{path.split('/')[0]}_{Path(path).stem}.{path.split('/')[1][:-1]}.png": d for path, d in files.items()}
        ordered = sorted(keys.items())
        for i in range(3):
            part = dict(ordered[i * 7 : (i + 1) * 7])
            tar_of(root / f"train-{i:06d}.tar", part | {f"{i}.json": b"{}"})
        return {
            "uri": str(root),
            "labels": "train-*.tar/{sequence}_*.label.png",
            "instances": "train-*.tar/{sequence}_*.instance.png",
        }
    rows = [
        {
            "drive": name, "frame": Path(path).stem, "label": data,
            "instance": files[path.replace("/labels/", "/instances/")], "image": b"",
        }
        for name in names
        for path, data in files.items()
        if path.startswith(f"{name}/labels/")
    ]  # fmt: skip
    parquet_of(root / "data" / "train-00000-of-00002.parquet", rows[:4], 3)
    parquet_of(root / "data" / "train-00001-of-00002.parquet", rows[4:], 3)
    columns = {"sequence": "drive", "frame": "frame", "label": "label", "instance": "instance"}
    return {"uri": str(root), "columns": columns, **TEMPLATES}


@pytest.mark.parametrize("kind", ["tar", "zip", "parquet"])
def test_a_container_gives_the_same_clips_as_single_files(local_run: LocalRun, kind: str) -> None:
    plain = local_run.prepare()
    inside = local_run.prepare(source=packed(local_run, kind))
    assert [c.clip_id for s in inside.plan.shards for c in s.clips] == [
        c.clip_id for s in plain.plan.shards for c in s.clips
    ]
    assert inside.catalog.pixels == plain.catalog.pixels


@pytest.mark.parametrize("kind", ["tar", "zip", "shards", "parquet"])
def test_members_are_read_as_the_files_they_were_made_from(local_run: LocalRun, kind: str) -> None:
    found = local_run.prepare(source=packed(local_run, kind))
    store, sequences = found.job.source, found.catalog.sequences
    assert store is not None
    assert [(s.sequence_id, [f.name for f in s.frames]) for s in sequences] == [
        (f"seq_{i:02d}", [f"{t:06d}" for t in range(5)]) for i in range(2)
    ]
    for sequence in sequences:
        files = [file for frame in sequence.frames for file in (frame.label, frame.instance) if file]
        assert len(files) == 10
        here = local_run.source / sequence.sequence_id
        wanted = [d for t in range(5) for r in TEMPLATES for d in [(here / r / f"{t:06d}.png").read_bytes()]]
        assert read_all_unchanged(store, files) == wanted
        assert [store.read(file.path) for file in files] == wanted


def test_rows_published_from_an_archive_are_those_of_single_files(local_run: LocalRun) -> None:
    """All columns of the data files: images, labels and instance maps byte for byte."""
    plain = local_run.publish(local_run.prepare())
    other = local_run.into("other")
    inside = other.publish(other.prepare(source=packed(local_run, "tar")))
    shards = plain.table("shards.parquet", ["path"])["path"].to_pylist()
    assert shards == inside.table("shards.parquet", ["path"])["path"].to_pylist()
    for shard in shards:
        assert pq.read_table(local_run.dataset / shard).equals(pq.read_table(other.dataset / shard))
    again = rerender(inside, 2)
    assert again.same == 2 and not again.problems
    (origin,) = rendered_from(inside, "seq_01.tar/labels/000004.png")
    assert origin.sources["sequence_id"] == "seq_01"


@pytest.mark.parametrize("kind", ["tar", "zip", "shards"])
def test_unchanged_containers_are_only_listed(local_run: LocalRun, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = packed(local_run, kind)
    first = local_run.prepare(source=source)
    assert first.catalog.read == 20
    root, ranges, plain = str(source["uri"]), [], Store.read_range

    def counted(store: Store, path: str, start: int, stop: int) -> bytes:
        if store.uri == root:
            ranges.append(path)
        return plain(store, path, start, stop)

    monkeypatch.setattr(Store, "read_range", counted)
    second = local_run.prepare(source=source)
    assert second.catalog.read == 0 and not ranges
    assert second.plan.plan_id == first.plan.plan_id
    store = second.job.source
    assert store is not None
    store.read_all([frame.label.path for frame in second.catalog.sequences[0].frames])
    assert len(ranges) <= 2, "neighbours are read by one request"


def test_workers_find_members_without_opening_containers_again(local_run: LocalRun) -> None:
    store = local_run.prepare(source=packed(local_run, "tar")).job.source
    sent = pickle.loads(pickle.dumps(store))
    assert isinstance(sent, ContainerStore)
    path = "seq_00.tar/labels/000003.png"
    assert sent.read(path) == (local_run.source / "seq_00" / "labels" / "000003.png").read_bytes()


def test_endings_match_in_any_case_and_system_files_are_no_containers(local_run: LocalRun) -> None:
    source = packed(local_run, "tar")
    root = Path(str(source["uri"]))
    (root / "seq_00.tar").rename(root / "seq_00.TAR")
    (root / "._seq_00.TAR").write_bytes(b"Mac OS X")
    (root / ".ipynb_checkpoints").mkdir()
    (root / ".ipynb_checkpoints" / "seq_00.tar").write_bytes(b"")
    found = local_run.prepare(source=source)
    assert [s.sequence_id for s in found.catalog.sequences] == ["seq_00", "seq_01"]
    assert found.job.source is not None
    files = [frame.label for frame in found.catalog.sequences[0].frames]
    here = local_run.source / "seq_00" / "labels"
    assert read_all_unchanged(found.job.source, files) == [p.read_bytes() for p in sorted(here.iterdir())]


def test_an_archive_that_changes_after_it_was_checked_is_not_half_used(local_run: LocalRun) -> None:
    source = packed(local_run, "tar")
    found = local_run.prepare(source=source)
    path = Path(str(source["uri"])) / "seq_00.tar"
    files = files_below(local_run.source / "seq_00")
    tar_of(path, {"labels/new.png": b"0" * 700, **files})
    assert found.job.source is not None
    with pytest.raises(SourceError, match="changed since it was checked; run the command again"):
        read_all_unchanged(found.job.source, [frame.label for frame in found.catalog.sequences[0].frames])
    with pytest.raises(SourceError, match="seq_00.tar/labels/new.png: no image"):
        local_run.prepare(source=source)


class Damage(NamedTuple):
    name: str
    of: Callable[[Path, Path], Path]  # the whole container, the folder for the damaged one
    says: str


GOOD = {f"labels/{t:06d}.png": b"x" * 600 for t in range(3)}


def _cut(size: int) -> Callable[[Path, Path], Path]:
    def of(whole: Path, folder: Path) -> Path:
        (folder / f"bad{whole.suffix}").write_bytes(whole.read_bytes()[:size])
        return folder / f"bad{whole.suffix}"

    return of


def _flip(place: int) -> Callable[[Path, Path], Path]:
    def of(whole: Path, folder: Path) -> Path:
        data = bytearray(whole.read_bytes())
        data[place] ^= 1
        (folder / f"bad{whole.suffix}").write_bytes(data)
        return folder / f"bad{whole.suffix}"

    return of


def _joined(whole: Path, folder: Path) -> Path:
    (folder / "bad.tar").write_bytes(2 * whole.read_bytes())
    return folder / "bad.tar"


def _named(name: str) -> Callable[[Path, Path], Path]:
    def of(whole: Path, folder: Path) -> Path:
        return (tar_of if whole.suffix == ".tar" else zip_of)(folder / f"bad{whole.suffix}", {**GOOD, name: b"y"})

    return of


def _twice(whole: Path, folder: Path) -> Path:
    with tarfile.open(folder / "bad.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("labels/000000.png"))
    return folder / "bad.tar"


def _link(whole: Path, folder: Path) -> Path:
    info = tarfile.TarInfo("labels/000009.png")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(folder / "bad.tar", "w") as archive:
        archive.addfile(info)
    return folder / "bad.tar"


def _encrypted(whole: Path, folder: Path) -> Path:
    data = bytearray(whole.read_bytes())
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 8] |= 1
    (folder / "bad.zip").write_bytes(data)
    return folder / "bad.zip"


def _bomb(whole: Path, folder: Path) -> Path:
    """Says that it unpacks to less than it does."""
    data = bytearray(zip_of(folder / "bad.zip", {"labels/000000.png": bytes(10**7)}).read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    (folder / "bad.zip").write_bytes(data)
    return folder / "bad.zip"


def _overlapping(whole: Path, folder: Path) -> Path:
    data = bytearray(whole.read_bytes())
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    (folder / "bad.zip").write_bytes(data)
    return folder / "bad.zip"


DAMAGES = [
    Damage("tar cut in a member", _cut(2500), "bad.tar: damaged or truncated tar archive: unexpected end of data"),
    Damage("tar cut between members", _cut(3072), "bad.tar: truncated tar archive: its end mark is missing"),
    Damage(
        "tar with a damaged header", _flip(1536 + 20), "bad.tar: damaged tar archive: no header of a member at byte"
    ),
    Damage("tar that is none", _cut(0), "bad.tar: damaged or truncated tar archive: empty file"),
    Damage("two tars in one", _joined, "something follows the archive's end mark at byte"),
    Damage("tar out of itself", _named("../../x.png"), "bad.tar: member '../../x.png' is no path below the archive"),
    Damage("absolute tar", _named("/etc/x.png"), "bad.tar: member '/etc/x.png' is no path below the archive"),
    Damage("tar with a member twice", _twice, "'bad.tar/labels/000000.png' is there 2 times, in bad.tar"),
    Damage("tar with a link", _link, "bad.tar: member 'labels/000009.png': a link or device, not a file"),
    Damage("zip cut", _cut(300), "bad.zip: damaged or truncated zip archive: File is not a zip file"),
    Damage("zip with a flipped bit", _flip(52), "bad.zip: member 'labels/000000.png': damaged"),
    Damage("zip out of itself", _named("../x.png"), "bad.zip: member '../x.png' is no path below the archive"),
    Damage("zip with a password", _encrypted, "bad.zip: member 'labels/000000.png': encrypted"),
    Damage("zip bomb", _bomb, "bad.zip: member 'labels/000000.png': damaged"),
    Damage("overlapping zip", _overlapping, "overlaps another one: a damaged or hostile zip archive"),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_a_damaged_archive_ends_in_a_sentence(damage: Damage, tmp_path: Path) -> None:
    kind = "zip" if "zip" in damage.name else "tar"
    whole = (tar_of if kind == "tar" else zip_of)(tmp_path / f"whole.{kind}", GOOD)
    (tmp_path / "source").mkdir()
    damage.of(whole, tmp_path / "source")
    source = SourceSpec(uri=str(tmp_path / "source"), labels=f"{{sequence}}.{kind}/labels/*.png")
    with pytest.raises(SourceError, match=re.escape(damage.says)):
        scanned(source)


def scanned(source: SourceSpec) -> Catalog:
    store = with_members(open_store(source.uri), source, MEMBERS.empty_table)
    return scan(store, source, open_label_space("cityscapes", {}), INDEX.empty_table())
