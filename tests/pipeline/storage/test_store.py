"""Stores on a disk and in memory: what every backend promises."""

import errno
import hashlib
import io
import logging
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowreel.pipeline.dataset.versions import split_uri
from flowreel.pipeline.sources.verified_read import read_all_unchanged
from flowreel.pipeline.storage import (
    TEMPORARY_SUFFIX,
    NotFound,
    Store,
    Unavailable,
    absolute_uri,
    atomic_write,
    check_no_credentials,
    errors,
    open_file,
    open_store,
    redact,
)
from flowreel.pipeline.storage.folder import Folder
from flowreel.schemas.errors import SourceError, StorageError, UsageError
from flowreel.schemas.sequence import SourceFile


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "root") if request.param == "local" else f"memory://{uuid4().hex}/root")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "FIRST_PAUSE_S", 0.0)


def test_written_objects_are_read_listed_and_deleted(store: Store) -> None:
    store.write("b/c/2.bin", b"22")
    store.write("b/1.bin", b"")
    store.write("a.bin", b"333")
    assert [(f.path, f.size) for f in store.list()] == [("a.bin", 3), ("b/1.bin", 0), ("b/c/2.bin", 2)]
    assert store.read("b/c/2.bin") == b"22" and store.read("b/1.bin") == b""
    assert store.exists("a.bin") and not store.exists("b") and not store.exists("b/9.bin")
    store.write("a.bin", b"4444")
    assert store.read("a.bin", size=4) == b"4444"
    store.delete("a.bin", "b/1.bin", "a.bin", "never/was")
    assert [f.path for f in store.list()] == ["b/c/2.bin"]


def test_listing_by_folder_and_pattern(store: Store) -> None:
    for path in ("s1/labels/1.png", "s1/labels/2.txt", "s1/labels/deep/3.png", "s10/labels/1.png", "s[1]/labels/1.png"):
        store.write(path, b"x")
    assert [f.path for f in store.list("s1")] == ["s1/labels/1.png", "s1/labels/2.txt", "s1/labels/deep/3.png"]
    assert store.list("s1/") == store.list("s1") and store.list("nothing/here") == []
    found = [f.path for f in store.list(pattern="*/labels/*.png")]
    assert found == ["s1/labels/1.png", "s10/labels/1.png", "s[1]/labels/1.png"]
    assert len(store.list(pattern="**/*.png")) == 4
    assert store.read("s[1]/labels/1.png") == b"x"


@pytest.mark.parametrize("folders", [0, 3, 140])
def test_pages_are_the_listing_in_pieces(store: Store, folders: int) -> None:
    paths = ["loose", "a/loose", *(f"a/s{i}/labels/{t}.png" for i in range(folders) for t in range(2))]
    for path in paths:
        store.write(path, b"x")
    for prefix in ("", "a", "a/", "nothing"):
        pages = list(store.pages(prefix))
        assert sorted((info for page in pages for info in page), key=lambda f: f.path) == store.list(prefix)
    if folders == 140:
        assert len(list(store.pages())) == 1 + 140 / 2  # loose files, then two sequences each


def test_a_local_file_is_uploaded_whole_over_what_was_there(store: Store, tmp_path: Path) -> None:
    local = tmp_path / "local"
    for size in (20 * 2**20, 3):
        local.write_bytes(bytes(size))
        store.upload("a/b.bin", local)
        assert store.read("a/b.bin") == bytes(size)
    assert [f.path for f in store.list()] == ["a/b.bin"]


def test_listing_an_absent_root_is_empty(store: Store) -> None:
    assert store.list() == []


def test_tag_is_the_same_in_listing_and_info_and_changes_with_the_content(store: Store) -> None:
    store.write("f", b"1")
    first = store.info("f")
    assert store.list() == [first] and first.modified_s > 1e9
    store.write("f", b"2")
    assert store.info("f").tag != first.tag


def test_child_is_the_store_below(store: Store) -> None:
    store.child("x/y").write("z", b"1")
    assert store.read("x/y/z") == b"1"
    assert [f.path for f in store.child("x").list()] == ["y/z"]
    assert store.child("x").url("y/z") == f"{store.uri}/x/y/z"


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "a/", "", "a\\b", "a\0b", "..", "a\nb"]
)
def test_paths_cannot_leave_the_root(store: Store, path: str) -> None:
    calls: list[Any] = [store.read, store.info, store.exists, store.open_input, store.delete]
    calls += [lambda p: store.write(p, b""), lambda p: store.put_if_absent(p, b""), lambda p: store.read_range(p, 0, 1)]
    for call in calls:
        with pytest.raises(StorageError, match="is no path below"):
            call(path)
    if path not in ("", "a/"):  # the root itself, a folder written with its slash
        with pytest.raises(StorageError, match="is no path below"):
            store.list(path)


def test_an_absent_object_is_not_found_and_named(store: Store) -> None:
    for call in (store.read, store.info, store.open_input):
        with pytest.raises(NotFound, match="no/such") as caught:
            call("no/such")
        assert isinstance(caught.value, FileNotFoundError) and store.uri in str(caught.value)
        assert isinstance(pickle.loads(pickle.dumps(caught.value)), NotFound)


def test_a_body_of_another_length_is_refused(store: Store, no_pauses: None) -> None:
    store.write("f", b"12345")
    for size in (4, 6, 0):
        with pytest.raises(StorageError, match="5 bytes|1 bytes"):
            store.read("f", size=size)
    with pytest.raises(StorageError):
        store.read_range("f", 3, 9)
    with pytest.raises(StorageError, match="0 bytes arrived, 2 were expected"):
        store.read_range("f", 7, 9)
    assert store.read_range("f", 1, 3) == b"23" and store.read_range("f", 2, 2) == b""


def test_bytes_that_have_their_hash_take_one_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("f", b"12345")
    store.write("empty", b"")
    asked: list[str] = []
    of_kind = type(store._backend())
    stat = of_kind.stat
    monkeypatch.setattr(of_kind, "stat", lambda self, path: asked.append(path) or stat(self, path))
    for path, body in (("f", b"12345"), ("empty", b"")):
        assert store.read(path, sha256=hashlib.sha256(body).hexdigest()) == body
    assert not asked
    assert store.read("f", sha256=hashlib.sha256(b"before").hexdigest()) == b"12345"  # changed: as without a hash
    assert asked == ["f"]


def test_many_objects_are_read_at_once(store: Store) -> None:
    bodies = {f"{i}/f": bytes([i]) * i for i in range(1, 40)}
    for path, body in bodies.items():
        store.write(path, body)
    assert store.read_all([*bodies, "none", "1"]) == [*bodies.values(), None, None]
    with pytest.raises(StorageError, match="no path below"):
        store.read_all(["1/f", "../f"])


def test_what_comes_changed_or_cut_short_is_read_again_or_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [SourceFile(f"{i}", hashlib.sha256(b"body %d" % i).hexdigest()) for i in range(4)]
    for i in range(4):
        store.write(f"{i}", b"body %d" % i)
    of_kind = type(store._backend())
    read_all = of_kind.read_all
    monkeypatch.setattr(of_kind, "read_all", lambda self, paths: [read_all(self, paths)[0], None, b"bo", b"body 3"])
    assert read_all_unchanged(store, files) == [b"body 0", b"body 1", b"body 2", b"body 3"]
    store.write("2", b"other")
    with pytest.raises(SourceError, match="2: changed since it was checked"):
        read_all_unchanged(store, files)
    store.delete("2")
    with pytest.raises(SourceError, match="2: gone since it was checked"):
        read_all_unchanged(store, files)


def test_a_body_cut_short_is_not_taken_for_a_change(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("f", b"12345")
    of_kind = type(store._backend())
    read, cuts = of_kind.read, [2, 4]
    monkeypatch.setattr(of_kind, "read", lambda self, *at: read(self, *at)[: cuts.pop() if cuts else None])
    monkeypatch.setattr(errors, "FIRST_PAUSE_S", 0.0)
    assert store.read("f", sha256=hashlib.sha256(b"12345").hexdigest()) == b"12345" and not cuts


def test_pyarrow_reads_parts_through_open_input(store: Store) -> None:
    table, file = pa.table({"x": range(1000)}), io.BytesIO()
    pq.write_table(table, file, row_group_size=100)
    store.write("t.parquet", file.getvalue())
    opened = pq.ParquetFile(store.open_input("t.parquet"))
    assert opened.metadata.num_row_groups == 10
    assert opened.read_row_group(3)["x"].to_pylist() == list(range(300, 400))
    assert opened.read().equals(table)
    with store.open_input("t.parquet") as plain:
        assert plain.read() == file.getvalue() and plain.read() == b""


def test_one_of_many_threads_creates(store: Store) -> None:
    for turn in range(20):
        barrier, bodies = threading.Barrier(16), [f"{turn}/{k}".encode() * 100 for k in range(16)]

        def create(body: bytes, path: str = f"v/{turn}", barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return store.put_if_absent(path, body)

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(create, bodies))
        assert won.count(True) == 1
        assert store.read(f"v/{turn}") == bodies[won.index(True)]
    assert store.list(pattern=f"**/*{TEMPORARY_SUFFIX}") == []


def test_one_of_many_processes_creates(tmp_path: Path) -> None:
    code = (
        "import sys; from flowreel.pipeline.storage import open_store\n"
        "s = open_store(sys.argv[1]); sys.stdin.readline();"
        "print(sum(s.put_if_absent(f'v{k}', (sys.argv[2] * 50).encode()) for k in range(50)))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", code, str(tmp_path)]
    runs = [
        subprocess.Popen([*command, str(k)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        for k in range(3)
    ]
    assert sum(int(run.communicate("go\n", timeout=60)[0]) for run in runs) == 50


def test_created_objects_stay_small(store: Store) -> None:
    with pytest.raises(StorageError, match="bytes"):
        store.put_if_absent("big", b"x" * (5 * 2**20 + 1))
    assert not store.exists("big")


def test_exclusive_creation_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr("os.link", no_links)
    store = open_store(str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda k: store.put_if_absent("v", str(k).encode()), range(8)))
    assert won.count(True) == 1 and store.read("v") == str(won.index(True)).encode()


def test_a_link_made_by_a_lost_request_counts_as_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def sent_twice(source: Path, target: Path) -> None:
        real(source, target)
        real(source, target)

    monkeypatch.setattr("os.link", sent_twice)
    assert open_store(str(tmp_path)).put_if_absent("v", b"1")


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    store, stop, sizes = open_store(str(tmp_path)), threading.Event(), set()
    bodies = [b"a" * 3_000_000, b"b" * 3_000_000]
    store.write("f", bodies[0])

    def watch() -> None:
        while not stop.is_set():
            data = (tmp_path / "f").read_bytes()
            sizes.add((len(data), len(set(data))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for k in range(20):
        store.write("f", bodies[k % 2])
    stop.set()
    watcher.join()
    assert sizes == {(3_000_000, 1)}


def test_leftovers_of_killed_writers_are_listed_on_demand_only(tmp_path: Path) -> None:
    (tmp_path / f".1{TEMPORARY_SUFFIX}").write_bytes(b"half")
    store = open_store(str(tmp_path))
    assert store.list() == [] and store.list(pattern="*.png") == []
    assert [f.size for f in store.list(pattern=f"**/*{TEMPORARY_SUFFIX}")] == [4]


def test_links_are_followed_and_loops_told(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/1.png").write_bytes(b"123")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/seq").symlink_to(tmp_path / "real")
    (tmp_path / "root/gone.png").symlink_to(tmp_path / "nowhere")
    store = open_store(str(tmp_path / "root"))
    assert [f.path for f in store.list()] == ["gone.png", "seq/1.png"]
    assert store.list("seq")[0].size == 3
    with pytest.raises(NotFound):
        store.read("gone.png")
    (tmp_path / "real/loop").symlink_to(tmp_path / "real")
    with pytest.raises(StorageError, match="link"):
        store.list()


def test_checks_pass_and_leave_nothing(store: Store) -> None:
    store.check_writable()
    store.check_readable()
    assert store.list(pattern="**") == [] and store.list(pattern=f"**/*{TEMPORARY_SUFFIX}") == []


def test_checks_tell_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotFound, match="absent"):
        open_store(str(tmp_path / "absent")).check_readable()
    assert not (tmp_path / "absent").exists()
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        for check in (open_store(str(root)).check_readable, open_store(str(root)).check_writable):
            with pytest.raises(StorageError, match="a file is where a folder should be"):
                check()
    with pytest.raises(StorageError, match="file"):
        open_store(str(tmp_path / "file" / "below")).write("x", b"")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_folder_that_takes_no_files_is_not_writable() -> None:
    open_store("/proc/self/fdinfo").check_readable()
    with pytest.raises(StorageError, match="/proc/self/fdinfo"):
        open_store("/proc/self/fdinfo").check_writable()


def test_local_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = open_store("a b/c")
    monkeypatch.chdir("/")
    assert relative.uri == str(tmp_path / "a b/c") == open_store((tmp_path / "a b/c").as_uri()).uri
    assert open_store(f"{tmp_path}/x/").uri == f"{tmp_path}/x" and open_store("/").url("etc") == "/etc"
    assert open_store("memory://").url("x") == "memory://x"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("", "no storage URI"),
        ("file://data/x", "file:///"),
        ("s3://", "names no bucket"),
        ("s3://b/a/../c", "is no path"),
        ("s3://b/a//c", "is no path"),
        ("simplecache::s3://b", "no storage URI"),
        ("nosuch://b", "nosuch"),
        ("zip://labels", "zip:// names what lies in an archive, .* unpack it"),
        ("zip://*.png::s3://b/labels.zip", "unpack it, and give the folder or bucket URL"),
        ("tar://a", "unpack it"),
        ("s3://AKIAKEY:hunter22@b/x", "storage_options"),
        ("s3://b/x?token=hunter22", "storage_options"),
        ("s3://b?token=hunter22", "storage_options"),
        ("https://hunter22@host/x", "storage_options"),
        ("s3://AKIAKEY:hunter22/with/slash@bucket/ds", "storage_options"),
        ("gs://AKIAKEY:a/hunter22@bucket", "storage_options"),
        ("abfs://AKIAKEY:hunter22@account/x", "storage_options"),
        ("nosuch://AKIAKEY:hunter22/x@b::y", "storage_options"),
        ("simplecache::s3://AKIAKEY:hunter22@b", "storage_options"),
        ("file://AKIAKEY:hunter22@host/x", "storage_options"),
        ("AKIAKEY:hunter22@s3://b?x", "storage_options"),
    ],
)
def test_uris_that_name_no_place(uri: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        open_store(uri)
    assert "hunter22" not in str(caught.value) and "AKIAKEY" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        *("s3://KEY:hunter22/with/slash@bucket/ds", "s3://KEY:hunter22@5", "gs://KEY:hunter22@b/x.yaml"),
        *("x://hunter22@b", "s3://KEY%3Ahunter22/with/slash@bucket/ds", "file://KEY:hunter22/with/slash@bucket/ds"),
        "https://b/x#token=hunter22",
    ],
)
def test_no_way_in_shows_a_secret(uri: str) -> None:
    for opened in (open_store, open_file, split_uri):
        with pytest.raises(StorageError) as caught:
            opened(uri)
        assert "hunter22" not in str(caught.value) and "KEY" not in str(caught.value)
    assert "hunter22" not in redact(f"--address {uri.replace('hunter22@b', 'u:hunter22@b')}: no answer", {})


@pytest.mark.parametrize(
    "uri", ["s3:/KEY:hunter22@bucket/ds", "S3:KEY:hunter22@bucket", "gs:KEY:hunter22@b", "file:/x"]
)
def test_a_url_with_too_few_slashes_is_no_folder(uri: str) -> None:
    for opened in (open_store, open_file, split_uri, absolute_uri):
        with pytest.raises(StorageError, match="neither a URL nor a path") as caught:
            opened(uri)
        assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["s3://bucket/data@2024/x", "abfs://container@account/path", "file:///tmp/a:b@c", "a@b:c", "./s3:x"]
)
def test_an_at_sign_is_no_secret_by_itself(uri: str) -> None:
    check_no_credentials(uri)


SECRETS = {
    "key": "AKIAKEY",
    "client_kwargs": {"aws_secret": "p/w+1 2", "endpoint_url": "http://u:hunter22@host"},
    "connection_string": "AccountName=acc;AccountKey=Zm9vYmFy==",
}


def test_secrets_show_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, no_pauses: None
) -> None:
    store = Store("memory://x", SECRETS)
    text = "AKIAKEY p/w+1 2 p%2Fw%2B1%202 http://u:hunter22@host Zm9vYmFy== https://h/x?X-Amz-Signature=abc&y=1"

    def leak(_: Any, path: str) -> None:
        raise ConnectionError(text)

    monkeypatch.setattr("flowreel.pipeline.storage.bucket.Bucket.stat", leak)
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable) as caught:
        store.info("f")
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    for shown in (repr(store), str(store), str(caught.value), caplog.text, redact(text, SECRETS)):
        for secret in ("AKIAKEY", "p/w+1 2", "p%2Fw", "hunter22", "Zm9vYmFy", "=abc"):
            assert secret not in shown
    assert "memory://x/f" in str(caught.value) and "https://h/x?***" in str(caught.value)


def test_stores_travel_between_processes(store: Store) -> None:
    store.write("f", b"1")
    copy = pickle.loads(pickle.dumps(store))
    assert copy == store and copy.read("f") == b"1" and hash(copy) == hash(store)
    kept: dict[str, Any] = pickle.loads(pickle.dumps(Store("memory://x", SECRETS)))._options
    assert kept == SECRETS


@pytest.mark.parametrize("fails", [1, 3, 4])
def test_transient_errors_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pauses: None, fails: int
) -> None:
    calls, real = [], Folder.read

    def flaky(self: Folder, path: str, start: int, stop: int) -> bytes:
        calls.append(path)
        if len(calls) <= fails:
            raise ConnectionResetError("reset by peer")
        return real(self, path, start, stop)

    (tmp_path / "f").write_bytes(b"12")
    monkeypatch.setattr(Folder, "read", flaky)
    if fails < 4:
        assert open_store(str(tmp_path)).read("f") == b"12" and len(calls) == fails + 1
    else:
        with pytest.raises(Unavailable, match="run the same command again"):
            open_store(str(tmp_path)).read("f")
        assert len(calls) == 4


def answer(status: int, code: str = "") -> OSError:
    """What s3fs raises: an OSError whose cause holds the answer."""
    cause = Exception("An error occurred")
    cause.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}  # type: ignore[attr-defined]
    error = OSError(errno.EIO, "failed")
    error.__cause__ = cause
    return error


def test_which_errors_are_transient() -> None:
    transient = [answer(s) for s in (408, 409, 429, 500, 502, 503, 504)] + [TimeoutError(), ConnectionResetError()]
    permanent = [answer(s) for s in (400, 403, 404, 412, 501)] + [PermissionError(), FileNotFoundError(), ValueError()]
    cut_short = type("ClientPayloadError", (Exception,), {})("not completed")
    cut_short.__cause__ = answer(400).__cause__
    transient.append(cut_short)
    assert all(errors.is_transient(e) for e in transient)
    assert not any(errors.is_transient(e) for e in permanent)


def test_a_lost_answer_is_settled_by_what_is_stored() -> None:
    def refuse(error: Exception) -> Any:
        def put() -> None:
            raise error

        return put

    for error in (FileExistsError(), answer(412), answer(412, "PreconditionFailed")):
        assert atomic_write.create_object(refuse(error), lambda: True)
        assert not atomic_write.create_object(refuse(error), lambda: False)
    with pytest.raises(OSError, match="failed"):
        atomic_write.create_object(refuse(answer(503)), lambda: True)
    with pytest.raises(errors.TryAgain):
        atomic_write.create_object(refuse(answer(412)), refuse(FileNotFoundError("gone")))
