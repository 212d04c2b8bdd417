"""The last lines of `render` and `refresh`."""

import sys

from flowreel.jobs.render import Exit, Result
from flowreel.jobs.status import split_line
from flowreel.pipeline.planning.splits import empty_splits
from flowreel.schemas.spec import Spec
from flowreel.schemas.wording import counted

SHOWN = 10  # failed or rejected clips


def print_summary(result: Result, spec: Spec) -> None:
    """Says what was published, or why nothing was, and names the first clips that failed or were rejected."""
    for line in result.unpublished[:SHOWN]:
        print(line, file=sys.stderr)
    if len(result.unpublished) > SHOWN:
        print(f"... and {counted(len(result.unpublished) - SHOWN, 'more clip')}", file=sys.stderr)
    if result.exit == Exit.OVER_BUDGET:
        print(
            f"not published: {counted(len(result.unpublished), 'clip')} failed or rejected, which is more than"
            f" failure.max_failed_fraction {spec.failure.max_failed_fraction:g} allows; clips whose input you correct"
            " are rendered again by the same command, all others with --retry-failed",
            file=sys.stderr,
        )
    elif result.version and result.published:
        counts = result.version.record.counts
        print(
            f"published version {result.version.number} of {spec.dataset.uri}: {counted(counts.clips, 'clip')},"
            f" {counted(counts.frames, 'frame')} ({counts.rendered:,} rendered, {counts.reused:,} reused)"
        )
        print(f"splits: {split_line(counts.model_dump()['splits'])}")
        per_split = {name: split.sequences for name, split in counts.splits.items()}
        for warning in empty_splits(per_split, spec.split):
            print(f"warning: {warning}", file=sys.stderr)
    elif result.version:
        print(f"nothing changed: version {result.version.number} of {spec.dataset.uri} is up to date")
