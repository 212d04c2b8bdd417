"""Object stores that err, throttle, stall, reset connections, cut bodies short and lie; a disk that is full."""

import logging
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from moto.server import ThreadedMotoServer

from tests.fault.harness.place import data_files
from tests.fault.harness.processes import Driver
from tests.fault.harness.proxy import FaultProxy
from tests.fault.harness.world import Row, World

BUCKET = "faults"
KEYS = {"key": "testing", "secret": "testing"}


def stores(world: World) -> Row:
    """All that goes wrong with a store, through our own proxy before a real S3 server."""
    row, injected = Row("object store answers 500, 503 or 429, resets, stalls, cuts bodies short, lies"), Counter[str]()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        bucket = fsspec.filesystem("s3", **KEYS, endpoint_url=endpoint, use_listings_cache=False)
        bucket.mkdir(BUCKET)
        bucket.put(str(world.place.source), f"{BUCKET}/source", recursive=True)
        while row.injected < world.wanted(150):
            injected += _through_faults(world, bucket, endpoint, row)
            row.injected = injected.total()
            row.note = ", ".join(f"{kind}: {count}" for kind, count in sorted(injected.items()))
    finally:
        server.stop()
    return row


def _through_faults(world: World, bucket: Any, endpoint: str, row: Row) -> Counter[str]:
    """One dataset; returns the faults by kind."""
    local = world.fresh("store")
    with FaultProxy(endpoint, share=0.15, seed=row.injected) as proxy:
        spec = world.place.spec(
            f"s3://{BUCKET}/{local.name}",
            source={"uri": f"s3://{BUCKET}/source"},
            storage_options={**KEYS, "endpoint_url": proxy.url},
        )
        world.publish(local, spec, row, lambda driver, *_: driver.wait() * 0, 0)
    bucket.get(f"{BUCKET}/{local.name}", str(local), recursive=True)
    row.half_written += len(world.undisturbed.half_written(local))
    row.judge(world.undisturbed.compare(local))
    return proxy.injected


def full_disk(world: World) -> Row:
    """A small file system that fills up; it grows before the next command, which goes on."""
    row = Row("disk full")
    if os.geteuid():
        row.note = "not run: mounting a small file system needs root"
        return row
    size = sum(path.stat().st_size for path in world.undisturbed.folder.rglob("*") if path.is_file())
    for number in range(world.wanted(2)):
        mount, share = world.fresh(row.fault), 0.3 * (1 + number)
        with _small_disk(mount, int(size * share)) as grow:

            def inject(driver: Driver, dataset: Path, left: int) -> int:
                code = driver.wait()
                finished = len(data_files(dataset))
                grow(size * 4)
                full = code in (1, 2) and "the disk is full" in driver.said()
                if code and not full:
                    row.note = f"exit code {code} with {finished} data files: {driver.said().splitlines()[-1]}"
                return int(full)

            dataset = mount / "dataset"
            world.publish(dataset, world.place.spec(dataset), row, inject, 1)
            row.judge(world.undisturbed.compare(dataset))
    return row


@contextmanager
def _small_disk(mount: Path, size: int) -> Iterator[Callable[[int], None]]:
    """A file system of ``size`` bytes, and how to change that."""
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "flowreel", str(mount)], check=True)
    try:
        yield lambda more: _remount(mount, more)
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)


def _remount(mount: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(mount)], check=True)
