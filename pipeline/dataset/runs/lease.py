"""Leases on storage: whoever works on a dataset rewrites a small file of its own again and again.

Runs (``runs/leases``) and garbage collectors (``runs/sweeps``) see each other by them. A collector spares what live
runs have recorded; a run that is about to publish waits for collectors that began before, and then checks that its
files still exist. Ages are measured by the store's clock, from the times at which it says that files changed.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from flowreel.pipeline.dataset import layout
from flowreel.pipeline.dataset.checked_record import read_record
from flowreel.pipeline.storage import FileInfo, NotFound, Store
from flowreel.schemas.errors import StorageError
from flowreel.schemas.run import LeaseRecord

log = logging.getLogger(__name__)

RUNS, SWEEPS = layout.RUN_LEASES, layout.SWEEP_LEASES
HEARTBEAT_S = 60.0
UNKNOWN = "what a live run needs is unknown: delete this file when no run is working on the dataset"
LEASE_S = 600.0  # whoever has not renewed a lease for so long is gone
POLL_S = 1.0


class Stalled(Exception):
    """Raised when the owner of a lease could not renew it in time: others may think that it is gone."""


@dataclass(frozen=True)
class InUse:
    """The needs of live runs: outcomes of these plans, and these files."""

    plan_ids: frozenset[str]
    files: frozenset[str]


class Lease:
    """The lease of this process, for the time of a ``with`` block."""

    def __init__(self, dataset: Store, folder: str) -> None:
        self.path = folder + layout.LEASE.format(owner=uuid.uuid4().hex)
        self.plan_ids: list[str] = []
        self._dataset, self._files, self._beats = dataset, list[str](), 0
        self._renewed = 0.0
        self._writing, self._ended = threading.Lock(), threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self.renew()
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._heart.join()
        with suppress(StorageError):  # it expires by itself
            self._dataset.delete(self.path)

    def hold(self, plan_ids: Iterable[str] = (), files: Iterable[str] = ()) -> None:
        """Adds to what the lease protects: once it returns, no collector that begins takes files of these plans'
        outcomes, or ``files``."""
        self.plan_ids += [p for p in plan_ids if p not in self.plan_ids]
        self._files = sorted(files)
        self.renew()

    def renew(self) -> None:
        """Writes the lease again, which shows that its owner is alive."""
        with self._writing:
            asked = time.time()  # not the monotonic clock: it stands still while a machine sleeps
            self._beats += 1
            body = {"beat": self._beats, "plan_ids": self.plan_ids, "files": self._files}
            self._dataset.write(self.path, json.dumps(body).encode())
            self._renewed = asked

    def check(self) -> None:
        """Raises Stalled unless others still see the owner as alive, with time to spare."""
        silent = time.time() - self._renewed
        if silent > LEASE_S / 2:
            raise Stalled(f"the lease could not be renewed for {silent:.0f} s")

    def now_s(self) -> float:
        """Gives the store's time, in Unix seconds: never later than it is."""
        return self._dataset.info(self.path).modified_s or time.time()

    def _beat(self) -> None:
        """Renews the lease every HEARTBEAT_S until it ends."""
        while not self._ended.wait(HEARTBEAT_S):
            try:
                self.renew()
            except StorageError as error:
                log.warning("the lease could not be renewed: %s", error)


def live(dataset: Store, folder: str, now_s: float) -> tuple[list[FileInfo], list[FileInfo]]:
    """Splits leases into those whose owners are alive and those whose are gone. One of unknown age is alive."""
    infos = dataset.list(folder)
    gone = [i for i in infos if i.modified_s and now_s - i.modified_s > LEASE_S]
    return [i for i in infos if i not in gone], gone


def in_use(dataset: Store, leases: Iterable[FileInfo]) -> InUse:
    """Collects what live runs need. A run that has ended meanwhile needs only what its version names."""
    plan_ids, files = set[str](), set[str]()
    for info in leases:
        try:
            data = dataset.read(info.path)
        except NotFound:
            continue
        body = read_record(data, dataset.url(info.path), LeaseRecord, UNKNOWN)
        plan_ids.update(body.plan_ids)
        files.update(body.files)
    return InUse(frozenset(plan_ids), frozenset(files))


def wait_for_sweeps(dataset: Store, now_s: float, say: Callable[[str], None]) -> None:
    """Waits until every collector that was at work when this was called has ended, or is gone."""
    alive, _ = live(dataset, SWEEPS, now_s)
    waited_for = {info.path: (info.tag, time.time()) for info in alive}
    if waited_for:
        say("waiting for `flowreel gc`, which is deleting files of this dataset")
    while waited_for:
        time.sleep(POLL_S)
        tags = {info.path: info.tag for info in dataset.list(SWEEPS)}
        for path, (tag, since) in list(waited_for.items()):
            if path not in tags or (tags[path] == tag and time.time() - since > LEASE_S):
                del waited_for[path]
            elif tags[path] != tag:
                waited_for[path] = (tags[path], time.time())


def secure(lease: Lease, dataset: Store, files: Iterable[str], say: Callable[[str], None]) -> set[str]:
    """Protects data files before a version names them: from now on none of them is deleted. Returns those that a
    collector has already deleted."""
    wanted = set(files)
    lease.hold(files=wanted)
    wait_for_sweeps(dataset, lease.now_s(), say)
    return wanted - {info.path for info in dataset.list("data")} if wanted else wanted
