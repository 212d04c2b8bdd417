"""The last words of `render` and `refresh`."""

import sys

from flowreel.jobs.render import Exit, Result
from flowreel.schemas.spec import Spec


def print_summary(result: Result, spec: Spec) -> None:
    """Says what was published, or why nothing was, and names the first clips that were lost."""
    for line in result.lost[:10]:
        print(line, file=sys.stderr)
    if len(result.lost) > 10:
        print(f"... and {len(result.lost) - 10} more", file=sys.stderr)
    if result.exit == Exit.OVER_BUDGET:
        print(
            f"not published: {len(result.lost)} clip(s) lost, above failure.max_failed_fraction"
            f" {spec.failure.max_failed_fraction:g}; mended input is tried anew, all else with --retry-failed",
            file=sys.stderr,
        )
    elif result.version and result.published:
        counts = result.version.record.counts
        print(
            f"published version {result.version.number} of {spec.dataset.uri}: {counts.clips:,} clips,"
            f" {counts.frames:,} frames ({counts.rendered:,} clips rendered, {counts.reused:,} reused)"
        )
    elif result.version:
        print(f"nothing changed: version {result.version.number} of {spec.dataset.uri} is up to date")
