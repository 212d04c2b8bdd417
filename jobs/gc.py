"""`flowreel gc`: drops versions past retention, and data files that no kept version and no live run uses."""

from collections.abc import Iterator

from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.runs.lease import Stalled
from flowreel.pipeline.dataset.versions import newest
from flowreel.pipeline.maintenance import compaction, gc
from flowreel.pipeline.maintenance.gc import Garbage, Policy
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import FlowreelError

FOREIGN_SHOWN = 10  # names of others' files that are printed


def collect(dataset: Store, policy: Policy, display: Display, *, dry: bool = False) -> Garbage:
    """What was dropped and deleted; ``dry``: what would be. Raises FlowreelError if this process was held up."""
    if dry:
        return gc.find(dataset, policy)
    try:
        with display.task("deleting") as progress:
            return gc.collect(dataset, policy, progress)
    except Stalled as stalled:
        raise FlowreelError(f"gc of {dataset.uri}: {stalled}; nothing is lost: run it again for the rest") from None


def compact(dataset: Store, display: Display, *, dry: bool = False) -> str:
    """Rewrites data files that hold mostly dead clips, as a new version; ``dry``: says what that would be."""
    base = newest(dataset)
    files = compaction.compaction_candidates(base) if base else []
    if not files:
        return "nothing to compact"
    told = f"{len(files):,} data files of which {sum(f.dead_bytes for f in files):,} bytes are dead"
    if dry:
        return f"would be compacted: {told}"
    version = compaction.compact(dataset, display.say)
    return f"published version {version.number}: compacted {told}" if version else "nothing was compacted"


def lines(garbage: Garbage, grace_s: float, *, dry: bool = False) -> Iterator[str]:
    """For people."""
    would = "would be " if dry else ""
    if garbage.drop:
        yield f"{_numbers(garbage.drop)} {would}dropped; kept: {_numbers(garbage.kept)}"
    if garbage.deleted:
        size = sum(i.size for i in garbage.data)
        yield f"{would}deleted: {len(garbage.data):,} data files, {size:,} bytes; all {len(garbage.deleted):,} files:"
        yield from (f"  {path}" for path in garbage.deleted)
    if garbage.waiting:
        yield (
            f"{len(garbage.waiting):,} more, {sum(i.size for i in garbage.waiting):,} bytes, wait for the end of the"
            f" grace period of {grace_s / 3600:g} h"
        )
    if not garbage.any and not garbage.waiting:
        yield "nothing to drop, nothing to delete"
    if garbage.foreign:
        shown = ", ".join(garbage.foreign[:FOREIGN_SHOWN])
        more = f" and {len(garbage.foreign) - FOREIGN_SHOWN:,} more" if len(garbage.foreign) > FOREIGN_SHOWN else ""
        yield f"left alone, as Flowreel did not write it: {shown}{more}"


def _numbers(versions: tuple[int, ...]) -> str:
    return f"version{'s' if len(versions) > 1 else ''} {', '.join(map(str, versions))}"
