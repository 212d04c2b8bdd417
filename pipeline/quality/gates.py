"""Rejects clips by gates: bounds of the spec, each on one column of the manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from flowreel.schemas.quality import QualitySpec


@dataclass(frozen=True)
class Bound:
    """Says what a field of `quality` asks of a column."""

    field: str
    column: str
    side: Literal["max", "min"]
    value: float


class Rejection(NamedTuple):
    """Says why a clip must not be published."""

    column: str  # of the manifest: the measure that is beyond its bound
    reason: str  # for people


def bounds_of(spec: QualitySpec) -> list[Bound]:
    """Gives the bounds that are set. A field's name says its side and column: ``max_warp_error``."""
    found: list[Bound] = []
    for field in QualitySpec.model_fields:
        side, _, column = field.partition("_")
        value = getattr(spec, field)
        if value is not None and side in ("max", "min"):
            found.append(Bound(field, column, "max" if side == "max" else "min", value))
    return found


def gate(columns: Mapping[str, Sequence[float | None]], spec: QualitySpec) -> Rejection | None:
    """Finds the first bound that a clip's worst frame is beyond; gives None for a clip that may be published.

    ``columns``: by name, a value per frame. Frames of which a measure says nothing pass its bound.
    """
    for bound in bounds_of(spec):
        values = [(value, t) for t, value in enumerate(columns[bound.column]) if value is not None]
        if not values:
            continue
        if bound.side == "max":
            worst, frame = max(values, key=lambda v: v[0])
            beyond, where = worst > bound.value, "above"
        else:
            worst, frame = min(values, key=lambda v: v[0])
            beyond, where = worst < bound.value, "below"
        if beyond:
            told = f"{bound.column} {worst:.4f} at frame {frame} {where} quality.{bound.field} {bound.value:g}"
            return Rejection(bound.column, told)
    return None
