"""Collects garbage: versions past retention, then files that no kept version and no live run needs.

It is safe beside runs and readers because of the order in which it reads: data files first, then what live runs have
recorded, then versions. A run records a file before it writes it, and forgets it after the version that names it is
published. So a file that was listed is in a record, or in a version, or nobody needed it. Whoever finds it after that
and wants it waits for the collector before publishing (see `lease`).
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from flowreel.pipeline.dataset import layout, versions
from flowreel.pipeline.dataset.checked_table import read_checked
from flowreel.pipeline.dataset.own_files import DROPPED_FILE, FOLDERS, Survey, survey
from flowreel.pipeline.dataset.runs import records as runs
from flowreel.pipeline.dataset.runs.lease import LEASE_S, RUNS, SWEEPS, InUse, Lease, in_use, live
from flowreel.pipeline.maintenance.retention import Folder, age, drop, folders, folders_of, past_retention, removable
from flowreel.pipeline.storage import FileInfo, NotFound, Store
from flowreel.schemas.errors import IntegrityError, UsageError
from flowreel.schemas.manifest import SHARDS
from flowreel.schemas.rules import SHARDS_RULES
from flowreel.schemas.spec import GRACE_H

_NO_RUNS = {"claims", "leases", "summaries", "sweeps"}  # folders below runs/ that hold no run's records
_CLAIM = re.compile(
    rf"runs/claims/({layout.NUMBER})"
)  # of a version number: whoever left it was killed after its commit
BATCH = 64  # files deleted between two checks of the own lease


@dataclass(frozen=True)
class Policy:
    """Rules of what to keep."""

    keep: int | None = None  # newest versions; None: as the newest version's spec says
    grace_s: float = GRACE_H * 3600  # files younger than that stay, and those of versions dropped since


@dataclass(frozen=True)
class Garbage:
    """What can be dropped and deleted from a dataset."""

    drop: tuple[int, ...]  # versions past retention
    kept: tuple[int, ...]
    data: tuple[FileInfo, ...]  # data files that nobody needs, and what kills left half-written
    waiting: tuple[FileInfo, ...]  # data files that nobody needs once the grace period is over
    records: tuple[str, ...]  # of runs that ended long ago, and of processes that are gone
    expired: tuple[str, ...] = ()  # files of versions dropped, or broken off, long enough ago
    foreign: tuple[str, ...] = ()  # what others put there, and links: left alone

    @property
    def any(self) -> bool:
        """Tells whether there is anything to drop or delete."""
        return bool(self.drop or self.data or self.records or self.expired)

    @property
    def deleted(self) -> tuple[str, ...]:
        """Lists the paths of all files that are deleted."""
        return (*(info.path for info in self.data), *self.expired, *self.records)


@dataclass(frozen=True)
class _Snapshot:
    """A dataset at one moment. The order of the fields is the order of reading; it must not change."""

    data: Survey
    rest: tuple[Survey, ...]  # of the root and of `cache`, where only temporaries are collected
    runs: Survey
    gone: list[FileInfo]
    in_use_now: InUse
    versions: Survey
    folders: list[Folder]  # of versions, by rising number

    @classmethod
    def of(cls, dataset: Store, now_s: float) -> Self:
        """Reads a dataset in the order that makes collecting safe.

        Raises UsageError where no version is published: nothing there is known to be Flowreel's.
        """
        data, rest, runs = (
            survey(dataset, "data"),
            (survey(dataset, ""), survey(dataset, "cache")),
            survey(dataset, "runs"),
        )
        alive, gone = live(dataset, RUNS, now_s)
        _, gone_sweeps = live(dataset, SWEEPS, now_s)
        ours = {info.path for info in runs.own}
        gone = [info for info in (*gone, *gone_sweeps) if info.path in ours]
        used, published = in_use(dataset, alive), survey(dataset, "versions")
        found = cls(data, rest, runs, gone, used, published, folders_of(dataset, published))
        if not any(version.exists for version in found.folders):
            raise UsageError(
                f"{dataset.uri} holds no published version, so nothing is deleted there: name the folder of a dataset"
                " that `flowreel render` has published"
            )
        return found

    @property
    def temporaries(self) -> list[FileInfo]:
        """Lists files being written, or left half-written by a kill."""
        return [info for part in (self.data, *self.rest, self.runs, self.versions) for info in part.temporaries]

    @property
    def foreign(self) -> list[str]:
        """Lists what others put into Flowreel's folders, and links in their place."""
        beside = [info for info in self.rest[0].foreign if info.path in FOLDERS]
        return [info.path for info in (*beside, *self.data.foreign, *self.runs.foreign, *self.versions.foreign)]


def find(dataset: Store, policy: Policy, now_s: float | None = None) -> Garbage:
    """Finds what `collect` would drop and delete now. Raises IntegrityError for a kept version whose files are
    unknown."""
    now_s = time.time() if now_s is None else now_s
    snapshot = _Snapshot.of(dataset, now_s)
    folders = snapshot.folders
    published = [v.number for v in folders if v.exists]
    keep = policy.keep
    if keep is None:
        newest = versions.newest(dataset)
        keep = newest.record.spec.dataset.keep_versions if newest else 1
    drops = past_retention(published, keep)
    # Files that nobody needs, but whose grace period is not over, are listed as waiting.
    needed = _named(dataset, [v for v in folders if v.linked or (v.exists and v.number not in drops)])
    spared = _named(dataset, [v for v in folders if _just_dropped(v, drops, policy.grace_s, now_s)])
    live_files, ended = _of_runs(dataset, snapshot, policy.grace_s, now_s)
    needed |= live_files
    free = [info for info in snapshot.data.own if info.path not in needed]
    delete = [i for i in free if i.path not in spared and _old(i, policy.grace_s, now_s)]
    left_over = [i for i in snapshot.temporaries if _old(i, max(policy.grace_s, LEASE_S), now_s)]
    chosen = set(delete)
    return Garbage(
        drop=tuple(drops),
        kept=tuple(n for n in published if n not in drops),
        data=(*delete, *left_over),
        waiting=tuple(info for info in free if info not in chosen),
        records=(*ended, *(info.path for info in snapshot.gone)),
        expired=tuple(_expiring(folders, drops, policy, now_s)),
        foreign=tuple(snapshot.foreign),
    )


def collect(dataset: Store, policy: Policy, progress: Callable[[int, int], None] | None = None) -> Garbage:
    """Drops versions and deletes files, and returns what it did; if it is interrupted, the next call resumes.

    Raises Stalled if this process slept for so long that runs may think it is gone: the rest waits for next time.
    """
    first = find(dataset, policy)
    if not first.any:
        return first  # leaves no lease behind
    with Lease(dataset, SWEEPS) as lease:
        now_s = lease.now_s()
        found = find(dataset, policy, now_s)
        for number in found.drop:
            lease.check()
            drop(dataset, number)
        paths = [info.path for info in found.data]
        for begin in range(0, len(paths), BATCH):
            lease.check()
            dataset.delete(*paths[begin : begin + BATCH])
            if progress:
                progress(min(begin + BATCH, len(paths)), len(paths))
        expired = tuple(removable(folders(dataset), now_s, policy.grace_s, LEASE_S))
        for path in expired:
            lease.check()
            dataset.delete(path)
        lease.check()
        dataset.delete(*found.records)
    return replace(found, expired=expired)


def _expiring(folders: Sequence[Folder], drops: Sequence[int], policy: Policy, now_s: float) -> Iterator[str]:
    """Yields what `removable` will once ``drops`` are dropped: without a grace period, their files too."""
    yield from removable(folders, now_s, policy.grace_s, LEASE_S)
    for version in folders if not policy.grace_s else ():
        if version.number in drops:
            yield from (version.path(name) for name in sorted({*version.files, DROPPED_FILE} - {versions.RECORD}))


def _just_dropped(version: Folder, drops: Sequence[int], grace_s: float, now_s: float) -> bool:
    """Tells whether readers who have a version open are still given time."""
    if version.number in drops:
        return grace_s > 0
    return version.dropped is not None and age(version.dropped, now_s) < grace_s


def _old(info: FileInfo, grace_s: float, now_s: float) -> bool:
    """Tells whether a file is past the grace period."""
    return bool(info.modified_s) and age(info, now_s) >= grace_s


def _named(dataset: Store, among: Sequence[Folder]) -> set[str]:
    """Collects the paths of all data files that these versions name."""
    named = set[str]()
    for version in among:
        path = version.path(versions.SHARDS_FILE)
        try:
            data, url = dataset.read(path), dataset.url(path)
            named.update(read_checked(data, url, SHARDS, SHARDS_RULES, ["path"])["path"].to_pylist())
        except NotFound:
            if dataset.exists(version.path(versions.RECORD)):
                raise IntegrityError(
                    f"{dataset.url(path)}: missing, so the files of version {version.number} are unknown; restore it,"
                    " or drop the version by deleting its version.json"
                ) from None
        except IntegrityError as error:
            raise IntegrityError(f"{error}; nothing is deleted") from None
    return named


def _of_runs(dataset: Store, snapshot: _Snapshot, grace_s: float, now_s: float) -> tuple[set[str], list[str]]:
    """Gives the data files that live or recent runs need, and the records of other runs, also of those whose version is
    published."""
    by_plan: dict[str, list[FileInfo]] = {}
    for info in snapshot.runs.own:
        if (plan_id := info.path.split("/")[1]) not in _NO_RUNS:
            by_plan.setdefault(plan_id, []).append(info)
    silent = {plan_id: min(age(info, now_s) for info in infos) for plan_id, infos in by_plan.items()}
    lately = {plan_id for plan_id, seconds in silent.items() if seconds < max(grace_s, LEASE_S)}
    needed = set(snapshot.in_use_now.files)
    for plan_id in snapshot.in_use_now.plan_ids | lately:
        needed |= {o.file.path for o in runs.load_outcomes(dataset, plan_id) if o.file}
    ended = by_plan.keys() - snapshot.in_use_now.plan_ids - lately
    if by_plan:  # what a run left that was killed after its commit is of no use from then on
        ended |= by_plan.keys() & versions.published_plans(dataset)
    newest = max(version.number for version in snapshot.folders if version.exists)
    claims = [info.path for info in snapshot.runs.own if (of := _CLAIM.match(info.path)) and int(of[1]) <= newest]
    return needed, [info.path for plan_id in sorted(ended) for info in by_plan[plan_id]] + claims
