"""What Flowreel did not write, it never deletes: files of others beside its own, and whatever lies behind links."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowreel.jobs import render as rendering
from flowreel.jobs.gc import lines
from flowreel.pipeline.dataset import layout, own_files
from flowreel.pipeline.dataset.own_files import is_own, survey
from flowreel.pipeline.dataset.versions import numbers, open_version
from flowreel.pipeline.maintenance import gc
from flowreel.pipeline.maintenance.gc import Policy
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.storage import delete_leftovers, open_store
from flowreel.schemas.errors import UsageError
from tests.support.small_dataset import Quiet, Small, render_here

DAY_NS = 24 * 3600 * 10**9
ID = "0123456789abcdef" * 2
ALL = Policy(keep=1, grace_s=0)


def age(root: Path) -> None:
    """Everything in a folder is a day older."""
    for file in [*root.rglob("*"), root]:
        if not file.is_symlink():
            os.utime(file, ns=(file.stat().st_atime_ns - DAY_NS, file.stat().st_mtime_ns - DAY_NS))


def content(root: Path) -> dict[str, bytes]:
    return {f.relative_to(root).as_posix(): f.read_bytes() for f in root.rglob("*") if f.is_file()}


@pytest.fixture
def three(small: Small) -> Small:
    """Three versions, each with a data file of its own, and the leavings of an interrupted run."""
    for number in range(3):
        small.add("a", number)
        rendering.render_by(render_here, small.spec(), Quiet())
    for path in (f"runs/{ID}/run.json", f"runs/{ID}/outcomes/{ID}.json", f"runs/{ID}/pieces/{ID}/00000000.safetensors"):
        small.store.write(path, b"{}")
    return small


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    for path in ("data/raw/important.csv", "runs/exp1/events.out.tfevents", f"data/{ID}.parquet"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"mine")
    age(tmp_path)
    before = content(tmp_path)
    for act in (gc.find, gc.collect):
        with pytest.raises(UsageError, match="holds no published version, so nothing is deleted there"):
            act(open_store(str(tmp_path)), ALL)
    assert content(tmp_path) == before


def test_everything_deleted_and_everything_foreign_is_named(three: Small) -> None:
    root = Path(three.dataset)
    (root / "data/raw").mkdir()
    (root / "data/raw/important.csv").write_bytes(b"mine")
    age(root)
    before = content(root)
    garbage = gc.collect(three.store, ALL)
    gone = before.keys() - content(root).keys()
    text = list(lines(garbage, 0))
    named = {line.strip() for line in text if line.startswith("  ")}
    assert named >= {path for path in gone if not path.endswith("version.json")} and "dropped: versions 1, 2" in text[0]
    assert "left alone, as Flowreel did not write it: data/raw/important.csv" in text
    assert f"runs/{ID}/outcomes/{ID}.json" in gone and "versions/000001/manifest.parquet" in gone
    assert verify(open_version(three.store, 3)).problems == ()


@pytest.mark.parametrize("linked", ["data", "runs", f"runs/{ID}", "versions/000000", "versions/000001", "data/link"])
def test_no_link_is_followed(three: Small, tmp_path: Path, linked: str) -> None:
    """Not even where what lies behind it looks like Flowreel's own."""
    root, outside = Path(three.dataset), tmp_path / "outside"
    place = root / linked
    if place.exists():
        shutil.move(place, outside)
    else:
        outside.mkdir()
        for name in (f"{ID}.parquet", "manifest.parquet", "dropped.json"):
            (outside / name).write_bytes(b"mine")
    place.symlink_to(outside)
    age(outside)
    age(root)
    before = content(outside)
    garbage = gc.collect(three.store, ALL)
    assert content(outside).items() >= before.items() and place.is_symlink()
    assert not any(path.startswith(f"{linked}/") for path in garbage.deleted)
    assert linked in garbage.foreign


@pytest.mark.parametrize("linked", ["versions/000002", "versions/000002/version.json"])
def test_versions_read_through_links_stay_whole(three: Small, tmp_path: Path, linked: str) -> None:
    """As DVC and git-annex put links in the place of files: readers still see the version, so its files are needed."""
    root, outside = Path(three.dataset), tmp_path / "outside"
    shutil.move(root / linked, outside)
    (root / linked).symlink_to(outside)
    age(root)
    garbage = gc.collect(three.store, ALL)
    assert garbage.drop == (1,) and linked in garbage.foreign
    assert verify(open_version(three.store, 2)).problems == ()


@pytest.mark.parametrize("name", ["000000", "0000003", "00000\u0663"])
def test_folders_whose_names_are_nearly_versions_are_foreign(three: Small, name: str) -> None:
    """`int` takes them for version 0 or 3."""
    root = Path(three.dataset)
    shutil.copytree(root / "versions/000003", root / "versions" / name)
    age(root)
    assert numbers(three.store) == [1, 2, 3]
    before = content(root / "versions" / name)
    garbage = gc.collect(three.store, ALL)
    assert content(root / "versions" / name) == before and f"versions/{name}/version.json" in garbage.foreign


def test_temporary_files_are_collected_wherever_flowreel_writes(three: Small) -> None:
    root = Path(three.dataset)
    name = f".{ID}.flowreel-tmp"
    folders = ("", "cache", "data", "runs/leases", f"runs/{ID}/outcomes", "versions/000003", "versions/000009")
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).write_bytes(b"half")
    young = gc.find(three.store, ALL)
    assert not any(path.endswith(name) for path in young.deleted)  # they may be being written
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / name).write_bytes(b"not in a folder of ours")
    age(root)
    gc.collect(three.store, ALL)
    assert [file.relative_to(root).as_posix() for file in root.rglob(f"*{name}")] == [f"elsewhere/{name}"]


# Random folders: names of Flowreel's own, names close to them, nested ones, links to files and folders outside.
NAMES = st.sampled_from(
    [
        *("important.csv", "README.md", "version.json", "dropped.json", "run.json", "plan.parquet", "manifest.parquet"),
        *(f"{ID}.parquet", f"{ID}.parquet.bak", f"{ID.upper()}.parquet", "abc.parquet", f"{ID}.json", ".hidden"),
        *("00000000.safetensors", "index.html", "events.out.tfevents", ".x.flowreel-tmp", f"{ID}.flowreel-tmp"),
    ]
)
FOLDERS = st.sampled_from(
    [
        *(
            "",
            "data",
            "data/raw",
            f"data/{ID}",
            "runs",
            "runs/exp1",
            f"runs/{ID}",
            f"runs/{ID}/outcomes",
            "runs/leases",
        ),
        *(f"runs/{ID}/mine", "runs/summaries", "versions", "versions/1", "versions/000001/mine", "versions/000003"),
        *("runs/leases", "versions/000007", "versions/old", "cache", "cache/mine", "mine/data"),
    ]
)
PLACES = st.lists(st.tuples(FOLDERS, NAMES, st.sampled_from(["file", "link", "linked folder"])), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=PLACES)
def test_random_folders_around_a_dataset_keep_what_is_not_ours(
    three: Small, tmp_path_factory: pytest.TempPathFactory, places: list[tuple[str, str, str]]
) -> None:
    root = tmp_path_factory.mktemp("random") / "dataset"
    outside = root.parent / "outside"
    shutil.copytree(three.dataset, root)
    (outside / "inner").mkdir(parents=True)
    for name in (f"{ID}.parquet", "inner/dropped.json", "inner/run.json"):
        (outside / name).write_bytes(b"outside")
    mine = set[str]()
    for folder, name, kind in places:
        place = root / folder / name
        if any(part.is_symlink() for part in place.parents) or place.exists() or place.is_symlink():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "file":
            place.write_bytes(b"mine")
        else:
            place.symlink_to(outside / f"{ID}.parquet" if kind == "link" else outside)
        path = place.relative_to(root).as_posix()
        if kind != "file" or not is_own(path):
            mine.add(path)
    age(root)
    age(outside)
    store, before = open_store(str(root)), content(outside)
    would = gc.find(store, ALL)
    garbage = gc.collect(store, ALL)
    assert content(outside) == before
    for path in mine:
        assert os.path.lexists(root / path), path
    assert not mine & set(garbage.deleted) and set(garbage.deleted) == set(would.deleted)
    assert all(is_own(path) or path.endswith(".flowreel-tmp") for path in garbage.deleted)
    assert verify(open_version(store, 3)).problems == ()


def test_all_that_a_run_leaves_is_known_as_our_own(three: Small) -> None:
    for folder in ("data", "runs", "versions", "cache"):
        found = survey(three.store, folder)
        assert found.own and not found.foreign and not found.temporaries, folder


def test_paths_are_known_again_by_the_names_they_are_made_from() -> None:
    fields = {"shard": ID, "plan": ID, "clip": ID, "owner": ID, "number": 7, "start": 30, "begun": "20260101T000000Z"}
    for template in own_files._TEMPLATES:
        path = template.format(**fields, writer="0" * 16)
        assert is_own(path), path
        for near in (f"{path}.bak", f"x/{path}", path.replace(ID, ID[1:]), path.replace(ID, f"{ID}0"), f"{path}\n"):
            assert near == path or not is_own(near), near
        assert ID not in path or not is_own(path.replace(ID, ID.upper()))
    assert layout.field_of(layout.DATA, f"data/{ID}.parquet") == ID and not layout.field_of(layout.DATA, "data/x")


NEAR = [f"data/{ID[1:]}.parquet", f"data/{ID}0.parquet", f"data/{ID.upper()}.parquet", f"data/{ID}.parquet.bak"]
NEAR += [f"runs/{ID}/mine/run.json", "versions/000001/manifest.parquet.bak", "versions/1/version.json", "data/a\nb.csv"]


def test_refresh_and_its_retention_delete_nothing_of_others(three: Small, tmp_path: Path) -> None:
    """At default settings, through a link to the dataset, beside names that nearly match and links that lead nowhere
    or out."""
    root, outside = Path(three.dataset), tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / f"{ID}.parquet").write_bytes(b"outside")
    for path in NEAR:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"mine")
    links = {f"data/{ID}.parquet": outside / f"{ID}.parquet", f"data/{ID[:-1]}1.parquet": root / "nowhere"}
    links |= {f"runs/{ID[:-1]}1": outside, "cache/out": outside}
    for path, target in links.items():
        (root / path).symlink_to(target)
    mine = {path: (root / path).read_bytes() for path in NEAR}
    age(root)
    before = content(outside)
    (tmp_path / "linked").symlink_to(root)
    small = replace(three, dataset=str(tmp_path / "linked"))
    small.add("a", 77)
    _, garbage = small.refresh(dataset={"keep_versions": 1, "report": False})
    assert garbage and garbage.drop == (1, 2, 3) and garbage.data
    assert {path: (root / path).read_bytes() for path in NEAR} == mine and content(outside) == before
    assert all((root / path).is_symlink() for path in links)
    assert {*NEAR, *(path for path in links if not path.startswith("cache"))} <= set(garbage.foreign)
    assert "data/a\\nb.csv" in "\n".join(lines(garbage, 0)) and "data/a\nb.csv" not in "\n".join(lines(garbage, 0))
    assert verify(open_version(small.store, 4)).problems == ()
    for path, target in {"data/loop": root / "data", "runs/loop": root, "versions/loop": root}.items():
        (root / path).symlink_to(target)
    again = gc.collect(small.store, ALL)  # which follows no link, so that a circle is none
    assert {"data/loop", "runs/loop", "versions/loop"} <= set(again.foreign) and (root / "data/loop").is_symlink()


@pytest.mark.s3
def test_in_a_bucket_only_own_keys_are_deleted(small: Small, s3_env: dict[str, Any]) -> None:
    s3fs = pytest.importorskip("s3fs")
    bucket = f"test-{uuid4().hex[:12]}"
    s3fs.S3FileSystem(endpoint_url=s3_env["endpoint"]).mkdir(bucket)
    small = replace(small, dataset=f"s3://{bucket}/ds")
    for number in range(2):
        small.add("a", number)
        rendering.render_by(render_here, small.spec(), Quiet())
    beside = open_store(f"s3://{bucket}")
    foreign = [f"ds/{path}" for path in (*NEAR[:-1], "data/raw/important.csv", "runs/exp1/events", "mine.txt")]
    foreign += [f"ds2/data/{ID}.parquet", f"data/{ID}.parquet"]
    for path in foreign:
        beside.write(path, b"mine")
    small.store.write(f"data/{ID}.parquet", b"nobody's")
    small.store.write(f".{ID}.flowreel-tmp", b"a probe that was killed")
    later = time.time() + 24 * 3600
    would = gc.find(small.store, ALL, later)
    assert would.drop == (1,) and {f"data/{ID}.parquet", f".{ID}.flowreel-tmp"} <= set(would.deleted)
    assert not {f"ds/{path}" for path in would.deleted} & set(foreign)
    gc.collect(small.store, ALL)
    assert all(beside.read(path) == b"mine" for path in foreign) and not small.store.exists(f"data/{ID}.parquet")
    assert verify(open_version(small.store, 2)).problems == ()


def test_leftovers_outside_of_datasets_are_deleted_after_a_day(tmp_path: Path) -> None:
    store, name = open_store(str(tmp_path)), f".{ID}.flowreel-tmp"
    for path in (name, f"cache/flow/{name}", f"cache/x{name}", "states/000001.pt"):
        store.write(path, b"x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "outside")
    assert delete_leftovers(store) == []
    assert delete_leftovers(store, time.time() + 2 * 24 * 3600) == [name, f"cache/flow/{name}"]
    assert store.exists(f"cache/x{name}") and store.exists("states/000001.pt")
