"""Signs of life on storage: who works on a dataset rewrites a small file of its own again and again.

Runs (``runs/leases``) and collectors of garbage (``runs/sweeps``) see each other by them. A collector spares what
live runs have recorded; a run that is about to publish lets collectors end that began before, and then looks whether
its files are still there. Ages are taken by the store's clock, from the times at which it says that files changed.
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

from flowreel.pipeline.storage import FileInfo, NotFound, Store
from flowreel.schemas.errors import IntegrityError, StorageError

log = logging.getLogger(__name__)

RUNS, SWEEPS = "runs/leases", "runs/sweeps"
HEARTBEAT_S = 60.0
LEASE_S = 600.0  # whoever gave no sign of life for so long is gone
POLL_S = 1.0


class Stalled(Exception):
    """The owner of a lease could not renew it in time: others may think that it is gone."""


@dataclass(frozen=True)
class InUse:
    """What a live run needs: outcomes of these plans, and these files."""

    plan_ids: frozenset[str]
    files: frozenset[str]


class Lease:
    """The sign of life of this process, for the time of a ``with`` block."""

    def __init__(self, dataset: Store, folder: str) -> None:
        self.path = f"{folder}/{uuid.uuid4().hex}.json"
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
        with suppress(StorageError):  # it runs out by itself
            self._dataset.delete(self.path)

    def hold(self, plan_ids: Iterable[str] = (), files: Iterable[str] = ()) -> None:
        """From its return on, no collector that begins takes files of these plans' outcomes, or these."""
        self.plan_ids += [p for p in plan_ids if p not in self.plan_ids]
        self._files = sorted(files)
        self.renew()

    def renew(self) -> None:
        with self._writing:
            asked = time.time()  # not the monotonic clock: it stands still while a machine sleeps
            self._beats += 1
            body = {"beat": self._beats, "plan_ids": self.plan_ids, "files": self._files}
            self._dataset.write(self.path, json.dumps(body).encode())
            self._renewed = asked

    def check(self) -> None:
        """Raises Stalled unless others must still take the owner for alive, with time to spare."""
        silent = time.time() - self._renewed
        if silent > LEASE_S / 2:
            raise Stalled(f"no sign of life could be given for {silent:.0f} s")

    def now_s(self) -> float:
        """The store's time, in Unix seconds: never later than it is."""
        return self._dataset.info(self.path).modified_s or time.time()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            try:
                self.renew()
            except StorageError as error:
                log.warning("no sign of life could be given: %s", error)


def live(dataset: Store, folder: str, now_s: float) -> tuple[list[FileInfo], list[FileInfo]]:
    """Leases whose owners are alive, and those whose are gone. One of unknown age is alive."""
    infos = dataset.list(folder)
    gone = [i for i in infos if i.modified_s and now_s - i.modified_s > LEASE_S]
    return [i for i in infos if i not in gone], gone


def in_use(dataset: Store, leases: Iterable[FileInfo]) -> InUse:
    """What live runs need. A run that has ended meanwhile needs nothing but what its version names."""
    plan_ids, files = set[str](), set[str]()
    for info in leases:
        try:
            body = json.loads(dataset.read(info.path))
            plan_ids |= set(body["plan_ids"])
            files |= set(body["files"])
        except NotFound:
            continue
        except (ValueError, KeyError, TypeError, RecursionError):
            raise IntegrityError(
                f"{dataset.url(info.path)}: damaged, so what a live run needs is not known; delete it once no run works"
                " on this dataset"
            ) from None
    return InUse(frozenset(plan_ids), frozenset(files))


def wait_for_sweeps(dataset: Store, now_s: float, say: Callable[[str], None]) -> None:
    """Returns once every collector that was at work when this was called has ended, or is gone."""
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
    """Makes sure of data files before a version names them: none of them is deleted from now on, but for those
    returned, which a collector has deleted before."""
    wanted = set(files)
    lease.hold(files=wanted)
    wait_for_sweeps(dataset, lease.now_s(), say)
    return wanted - {info.path for info in dataset.list("data")} if wanted else wanted
