"""Collects garbage: versions past retention, then files that no kept version and no live run needs.

It is safe beside runs and readers because of the order in which it reads: data files first, then what live runs have
recorded, then versions. A run records a file before it writes it, and forgets it after the version that names it is
published. So a file that was listed is in a record, or in a version, or nobody needed it. Whoever finds it after that
and wants it waits for the collector before publishing (see `lease`).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.runs import records as runs
from flowreel.pipeline.dataset.runs.lease import LEASE_S, RUNS, SWEEPS, InUse, Lease, in_use, live
from flowreel.pipeline.maintenance.retention import Folder, age, drop, folders, past_retention, removable
from flowreel.pipeline.parquet import read_parquet
from flowreel.pipeline.storage import TEMPORARY_SUFFIX, FileInfo, NotFound, Store
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.spec import GRACE_H

_NO_RUNS = {"claims", "leases", "summaries", "sweeps"}  # folders below runs/ that hold no run's records
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
    data: tuple[FileInfo, ...]  # data files that nobody needs
    waiting: tuple[FileInfo, ...]  # data files that nobody needs once the grace period is over
    records: tuple[str, ...]  # of runs that ended long ago, and of processes that are gone

    @property
    def any(self) -> bool:
        """Tells whether there is anything to drop or delete."""
        return bool(self.drop or self.data or self.records)


@dataclass(frozen=True)
class _Snapshot:
    """A dataset at one moment. The order of the fields is the order of reading; it must not change."""

    data: list[FileInfo]
    temporaries: list[FileInfo]
    records: list[FileInfo]
    gone: list[FileInfo]
    in_use_now: InUse
    versions: list[Folder]

    @classmethod
    def at(cls, dataset: Store, now_s: float) -> Self:
        """Reads a dataset in the order that makes collecting safe."""
        data = dataset.list("data")
        temporaries = dataset.list("data", f"data/*{TEMPORARY_SUFFIX}")
        records = dataset.list("runs", "runs/*/**")
        alive, gone = live(dataset, RUNS, now_s)
        _, gone_sweeps = live(dataset, SWEEPS, now_s)
        return cls(data, temporaries, records, gone + gone_sweeps, in_use(dataset, alive), folders(dataset))


def find(dataset: Store, policy: Policy, now_s: float | None = None) -> Garbage:
    """Finds what `collect` would drop and delete now. Raises IntegrityError for a kept version whose files are
    unknown."""
    now_s = time.time() if now_s is None else now_s
    snapshot = _Snapshot.at(dataset, now_s)
    published = [v.number for v in snapshot.versions if v.exists]
    keep = policy.keep
    if keep is None:
        keep = versions.load(dataset, published[-1]).record.spec.dataset.keep_versions if published else 1
    drops = past_retention(published, keep)
    # Files that nobody needs, but whose grace period is not over, are listed as waiting.
    needed = _named(dataset, [v for v in snapshot.versions if v.exists and v.number not in drops])
    spared = _named(dataset, [v for v in snapshot.versions if _just_dropped(v, drops, policy.grace_s, now_s)])
    live_files, ended = _of_runs(dataset, snapshot, policy.grace_s, now_s)
    needed |= live_files
    free = [info for info in snapshot.data if info.path not in needed]
    delete = [i for i in free if i.path not in spared and _old(i, policy.grace_s, now_s)]
    left_over = [i for i in snapshot.temporaries if _old(i, max(policy.grace_s, LEASE_S), now_s)]
    chosen = set(delete)
    return Garbage(
        drop=tuple(drops),
        kept=tuple(n for n in published if n not in drops),
        data=(*delete, *left_over),
        waiting=tuple(info for info in free if info not in chosen),
        records=(*ended, *(info.path for info in snapshot.gone)),
    )


def collect(dataset: Store, policy: Policy, progress: Callable[[int, int], None] | None = None) -> Garbage:
    """Drops versions and deletes files, and returns what it did; if it is interrupted, the next call resumes.

    Raises Stalled if this process slept for so long that runs may think it is gone: the rest waits for next time.
    """
    first = find(dataset, policy)
    if not first.any and not _expired(dataset, policy, time.time()):
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
        for path in _expired(dataset, policy, now_s):
            lease.check()
            dataset.delete(path)
        lease.check()
        dataset.delete(*found.records)
    return found


def _expired(dataset: Store, policy: Policy, now_s: float) -> list[str]:
    return list(removable(folders(dataset), now_s, policy.grace_s, LEASE_S))


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
            named.update(read_parquet(dataset.read(path), ["path"])["path"].to_pylist())
        except NotFound:
            if dataset.exists(version.path(versions.RECORD)):
                raise IntegrityError(
                    f"{dataset.url(path)}: missing, so the files of version {version.number} are unknown; restore it,"
                    " or drop the version by deleting its version.json"
                ) from None
        except (pa.ArrowException, OSError) as error:
            raise IntegrityError(f"{dataset.url(path)}: damaged, so nothing is deleted: {error}") from None
    return named


def _of_runs(dataset: Store, snapshot: _Snapshot, grace_s: float, now_s: float) -> tuple[set[str], list[str]]:
    """Gives the data files that live or recent runs need, and the records of other runs."""
    by_plan: dict[str, list[FileInfo]] = {}
    for info in snapshot.records:
        if (plan_id := info.path.split("/")[1]) not in _NO_RUNS:
            by_plan.setdefault(plan_id, []).append(info)
    silent = {plan_id: min(age(info, now_s) for info in infos) for plan_id, infos in by_plan.items()}
    lately = {plan_id for plan_id, seconds in silent.items() if seconds < max(grace_s, LEASE_S)}
    needed = set(snapshot.in_use_now.files)
    for plan_id in snapshot.in_use_now.plan_ids | lately:
        needed |= {o.file.path for o in runs.load_outcomes(dataset, plan_id) if o.file}
    ended = by_plan.keys() - snapshot.in_use_now.plan_ids - lately
    return needed, [info.path for plan_id in sorted(ended) for info in by_plan[plan_id]]
