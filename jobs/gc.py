"""`flowreel gc`: drops old versions, and deletes data files that no remaining version or running job needs."""

from collections.abc import Iterator

from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.runs.lease import Stalled
from flowreel.pipeline.dataset.versions import newest
from flowreel.pipeline.maintenance import compaction, gc
from flowreel.pipeline.maintenance.gc import Garbage, Policy
from flowreel.pipeline.storage import FileInfo, Store
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.wording import byte_size, counted, duration, one_line

FOREIGN_SHOWN = 10  # names of others' files that are printed


def collect(dataset: Store, policy: Policy, display: Display, *, dry: bool = False) -> Garbage:
    """Drops and deletes, and gives what; ``dry``: only finds it. Raises FlowreelError if its lease ran out."""
    if dry:
        return gc.find(dataset, policy)
    try:
        with display.task("deleting") as progress:
            return gc.collect(dataset, policy, progress)
    except Stalled as stalled:
        raise FlowreelError(
            f"gc of {dataset.uri}: {stalled}; nothing is damaged: run the same command for the rest"
        ) from None


def compact(dataset: Store, display: Display, *, dry: bool = False) -> str:
    """Rewrites data files most of whose clips no version needs, and publishes a version that uses the new files.

    Gives one line on what was done; ``dry``: on what would be done.
    """
    base = newest(dataset)
    files = compaction.compaction_candidates(base) if base else []
    if not files:
        return "nothing to compact"
    what = f"{counted(len(files), 'data file')}, of which {byte_size(sum(f.dead_bytes for f in files))} are unused"
    if dry:
        return f"would be compacted: {what}"
    version = compaction.compact(dataset, display.say)
    return f"published version {version.number}: compacted {what}" if version else "nothing was compacted"


def lines(garbage: Garbage, grace_s: float, *, dry: bool = False) -> Iterator[str]:
    """Words what was dropped and deleted for people, line by line; ``dry``: what would be."""
    would = "would be " if dry else ""
    if garbage.drop:
        yield f"{would}dropped: {_numbers(garbage.drop)}; kept: {_numbers(garbage.kept)}"
    if garbage.deleted:
        yield f"{would}deleted: {_files(garbage.data)}; {counted(len(garbage.deleted), 'file')} in all:"
        yield from (f"  {path}" for path in garbage.deleted)
    if garbage.waiting:
        yield f"not needed either, but kept for the grace period of {duration(grace_s)}: {_files(garbage.waiting)}"
    if not garbage.any and not garbage.waiting:
        yield "nothing to drop or delete"
    if garbage.foreign:
        shown = ", ".join(map(one_line, garbage.foreign[:FOREIGN_SHOWN]))
        more = f" and {len(garbage.foreign) - FOREIGN_SHOWN:,} more" if len(garbage.foreign) > FOREIGN_SHOWN else ""
        yield f"left alone, as Flowreel did not write it: {shown}{more}"


def _files(files: tuple[FileInfo, ...]) -> str:
    return f"{counted(len(files), 'data file')}, {byte_size(sum(file.size for file in files))}"


def _numbers(versions: tuple[int, ...]) -> str:
    return f"{'version' if len(versions) == 1 else 'versions'} {', '.join(map(str, versions))}"
