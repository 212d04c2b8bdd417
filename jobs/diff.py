"""`flowreel diff`: clips added, removed and changed between two versions, and why."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from flowreel.pipeline.maintenance.diff import Diff
from flowreel.schemas.wording import counted

SHOWN = 10  # sequences or clips per kind


def figures(found: Diff) -> dict[str, Any]:
    """Gives every clip that differs, ready for JSON."""
    return {
        "before": found.before,
        "after": found.after,
        "same": found.same,
        "reasons": found.reasons,
        "spec": list(found.fields),
        "added": found.added.to_pylist(),
        "removed": found.removed.to_pylist(),
        "changed": found.changed.to_pylist(),
    }


def lines(found: Diff) -> Iterator[str]:
    """Words the differences for people, line by line, with the first sequences and clips of each kind."""
    yield f"version {found.before} -> version {found.after}"
    yield f"  same     {counted(found.same, 'clip')}"
    for kind, table in (("added", found.added), ("removed", found.removed), ("changed", found.changed)):
        yield f"  {kind:<8} {counted(len(table), 'clip')}{_sequences(table)}"
    for reason, count in found.reasons.items():
        yield f"    {counted(count, 'clip')}: {reason} changed"
    unpublished = found.removed.filter(found.removed["lost"].is_valid())
    for row in unpublished.slice(0, SHOWN).to_pylist():
        place = f"{row['sequence_id']} from frame {row['start']}, variant {row['variant']}"
        yield f"  not published  {place}: {row['lost']}"
    yield from (f"  spec     {text}" for text in found.fields)


def _sequences(clips: pa.Table) -> str:
    """Names the first sequences of the clips."""
    names = clips["sequence_id"].unique().to_pylist()
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f": {', '.join(names[:SHOWN])}{more}" if names else ""
