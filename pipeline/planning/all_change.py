"""Plans that render every clip of the newest version again: for which reason, as it is hardly ever meant."""

from dataclasses import dataclass
from typing import Any

from flowreel.pipeline.dataset.spec_changes import changed_fields, deciding_fields
from flowreel.pipeline.identity import RENDER_FORMAT
from flowreel.pipeline.planning.dropped import dropped_by
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec
from flowreel.schemas.wording import counted

_SHOWN = 4  # fields in the message
_NO_REASON = ("quality.", "split.")  # change no clip as such; a changed split says so by itself


@dataclass(frozen=True)
class _Planned:
    """What decides the clips of a plan, as in a version's record."""

    spec: Spec
    settings: RenderSettings
    label_space: dict[str, Any]
    render_format: int = RENDER_FORMAT


def all_change(prepared: Prepared) -> str:
    """Says that all clips of the newest version are rendered again, and why; "" where some stay or all are gone."""
    base, plan, job = prepared.base, prepared.plan, prepared.job
    if base is None or not plan.dropped or len(plan.reused) or not plan.clip_count:
        return ""
    if dropped_by(prepared).clips == plan.dropped:
        return ""
    planned = _Planned(job.spec, plan.settings, job.space.model_dump(mode="json"))
    old, new = deciding_fields(base.record), deciding_fields(planned)
    changes = [each for each in changed_fields(old, new) if not each.startswith(_NO_REASON)]
    if not changes and base.record.label_space != planned.label_space:
        changes = [f"source.label_space: {job.space.name} -> other classes under the same name and version"]
    changes = changes or [each for each in changed_fields(old, new) if each.startswith("split.")]
    reason = "; ".join(_became(each) for each in changes[:_SHOWN])
    more = f"; and {len(changes) - _SHOWN:,} more fields" if len(changes) > _SHOWN else ""
    return (
        f"all {counted(plan.dropped, 'clip')} of version {base.number} change and are rendered again, because"
        f" {reason or 'the files or names of all of them changed in the source'}{more}"
    )


def _became(change: str) -> str:
    """Words "name: old -> new"."""
    name, _, values = change.partition(": ")
    old, _, new = values.partition(" -> ")
    return f"{name} became {new} (was {old})"
