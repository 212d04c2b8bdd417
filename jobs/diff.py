"""`flowreel diff`: clips added, removed and changed between two versions, and why."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from flowreel.pipeline.maintenance.diff import Diff

SHOWN = 10  # sequences or clips per kind


def figures(found: Diff) -> dict[str, Any]:
    """Every clip that differs, ready for JSON."""
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
    """The same for people, in short."""
    yield f"version {found.before} -> {found.after}"
    yield f"  {'same':<8} {found.same:>10,} clips"
    for kind, table in (("added", found.added), ("removed", found.removed), ("changed", found.changed)):
        yield f"  {kind:<8} {len(table):>10,} clips{_sequences(table)}"
        if kind == "changed":
            yield from (f"    {count:>14,} by {reason}" for reason, count in found.reasons.items())
    lost = found.removed.filter(found.removed["lost"].is_valid())
    for row in lost.slice(0, SHOWN).to_pylist():
        yield f"  lost     {row['sequence_id']} from frame {row['start']}, variant {row['variant']}: {row['lost']}"
    yield from (f"  spec     {text}" for text in found.fields)


def _sequences(clips: pa.Table) -> str:
    """The first sequences that have such clips."""
    names = clips["sequence_id"].unique().to_pylist()
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"   {', '.join(names[:SHOWN])}{more}" if names else ""
