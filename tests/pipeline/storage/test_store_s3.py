"""Stores in a bucket of a real S3 server."""

import io
import os
import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5, sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowreel.pipeline.storage import NotFound, Store, Unavailable, open_store
from flowreel.schemas.errors import StorageError

pytestmark = pytest.mark.s3


@pytest.fixture
def bucket(s3_env: dict[str, Any]) -> str:
    s3fs = pytest.importorskip("s3fs")
    name = f"test-{uuid4().hex[:12]}"
    s3fs.S3FileSystem(endpoint_url=s3_env["endpoint"]).mkdir(name)
    return name


@pytest.fixture
def store(bucket: str) -> Store:
    return open_store(f"s3://{bucket}/root")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that nobody listens at."""
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_objects_are_written_read_and_listed_with_etags(store: Store) -> None:
    bodies = {"a b/ü.bin": b"1", "c/d/e=1.bin": b"22", "empty": b"", "pl+us%20[1]": b"333"}
    for path, body in bodies.items():
        store.write(path, body)
    assert [(f.path, f.size, f.tag) for f in store.list()] == [
        (path, len(body), md5(body).hexdigest()) for path, body in sorted(bodies.items())
    ]
    assert {path: store.read(path) for path in bodies} == bodies
    assert all(store.info(f.path).tag == f.tag and store.read(f.path, f.size) == bodies[f.path] for f in store.list())
    assert {path: store.read(path, sha256=sha256(body).hexdigest()) for path, body in bodies.items()} == bodies
    whole = [path for path in bodies if bodies[path]]
    assert store.read_all([*whole, "none"]) == [*(bodies[path] for path in whole), None]
    assert store.exists("empty") and not store.exists("c/d") and not store.exists("none")
    store.delete("empty", "none", "pl+us%20[1]")
    assert [f.path for f in store.list()] == ["a b/ü.bin", "c/d/e=1.bin"]


def test_listings_have_many_pages_and_are_never_stale(bucket: str, store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: store.write(f"many/{k:04d}", b""), range(250)))
    assert [f.path for f in store.list("many")] == [f"many/{k:04d}" for k in range(250)]
    open_store(f"s3://{bucket}").write("root/many/9999", b"")
    assert store.list("many")[-1].path == "many/9999" and store.list("man") == []


def test_one_of_many_threads_creates(store: Store) -> None:
    for turn in range(5):
        barrier, bodies = threading.Barrier(16), [f"{turn}/{k}".encode() * 100 for k in range(16)]

        def create(body: bytes, path: str = f"v/{turn}", barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return store.put_if_absent(path, body)

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(create, bodies))
        assert won.count(True) == 1
        assert store.read(f"v/{turn}") == bodies[won.index(True)]


def test_ones_own_object_counts_as_created(store: Store) -> None:
    assert store.put_if_absent("v", b"token 1") and store.put_if_absent("v", b"token 1")
    assert not store.put_if_absent("v", b"token 2") and store.read("v") == b"token 1"


def test_ranges_for_pyarrow(store: Store) -> None:
    table, file = pa.table({"x": range(100_000)}), io.BytesIO()
    pq.write_table(table, file, row_group_size=10_000)
    store.write("t.parquet", file.getvalue())
    opened = pq.ParquetFile(store.open_input("t.parquet"))
    assert opened.read_row_group(7)["x"][0].as_py() == 70_000 and opened.read().equals(table)
    assert store.read_range("t.parquet", 0, 4) == b"PAR1"
    assert open_store(store.uri).child("none").list() == []


def test_checks_pass_and_leave_nothing(bucket: str, store: Store) -> None:
    for place in (store, open_store(f"s3://{bucket}")):
        place.check_readable()
        place.check_writable()
    assert open_store(f"s3://{bucket}").list() == []
    store.write("file", b"")
    with pytest.raises(StorageError, match="a file is where a folder should be"):
        store.child("file").check_readable()


def test_an_absent_bucket_is_told_and_never_made(s3_env: dict[str, Any]) -> None:
    for uri in (f"s3://no-such-{uuid4().hex[:8]}", f"s3://no-such-{uuid4().hex[:8]}/folder"):
        store = open_store(uri)
        calls: list[Any] = [
            store.check_readable,
            store.check_writable,
            store.list,
            lambda s=store: s.put_if_absent("k", b""),
        ]
        for call in (*calls, lambda s=store: s.write("k", b""), lambda s=store: s.read("k")):
            with pytest.raises(NotFound, match="no such bucket") as caught:
                call()
            assert uri in str(caught.value)


def test_absent_objects_are_not_found(store: Store) -> None:
    store.write("folder/x", b"1")
    for path in ("none", "folder"):
        with pytest.raises(NotFound, match=f"{store.uri}/{path}"):
            store.read(path)


def test_an_endpoint_that_nobody_serves_is_told_soon(bucket: str, silent_port: int) -> None:
    options = {"endpoint_url": f"http://127.0.0.1:{silent_port}", "key": "AKIAKEY", "secret": "hunter22"}
    store = open_store(f"s3://{bucket}/x", options)
    for check in (store.check_readable, store.check_writable, store.list):
        start = time.monotonic()
        with pytest.raises(Unavailable, match="endpoint") as caught:
            check()
        assert time.monotonic() - start < 15
        assert "hunter22" not in str(caught.value) and store.uri in str(caught.value)


def test_missing_credentials_are_told(bucket: str, s3_env: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    store = open_store(f"s3://{bucket}", {"client_kwargs": {"endpoint_url": s3_env["endpoint"]}})
    with pytest.raises(StorageError, match="no credentials were found"):
        store.check_readable()


def test_options_reach_the_server_and_travel(bucket: str, s3_env: dict[str, Any]) -> None:
    options = {"key": s3_env["key"], "secret": s3_env["secret"], "endpoint_url": s3_env["endpoint"]}
    store: Store = pickle.loads(pickle.dumps(open_store(f"s3://{bucket}", options)))
    store.write("f", b"1")
    assert store.read("f") == b"1" and s3_env["secret"] not in repr(store)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_store_works_after_fork(store: Store) -> None:
    store.write("f", b"1")
    child = os.fork()
    if child == 0:
        os._exit(0 if store.read("f") == b"1" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_folders_are_listed_in_pages_and_files_uploaded(store: Store, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(bytes(12 * 2**20))
    store.upload("large.bin", tmp_path / "local")
    for path in ("a/0.png", *(f"a/s{i}/{t}.png" for i in range(20) for t in range(2))):
        store.write(path, b"x")
    pages = list(store.pages())
    assert sorted((info for page in pages for info in page), key=lambda f: f.path) == store.list()
    assert len(pages) > 20 and store.info("large.bin").size == 12 * 2**20
    assert list(store.pages("nothing")) == [[]]
