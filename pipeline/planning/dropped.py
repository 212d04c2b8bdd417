"""Clips of the newest version that a plan would drop and replace by nothing: what a source that is half gone costs."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.planning.prepare import Prepared
from flowreel.schemas.errors import DroppedError

NAMED = 5  # sequences that messages name
_KEYS = ["sequence_id", "variant"]


@dataclass(frozen=True)
class Dropped:
    """Clips that go without a successor: their sequence, variant or frames are not in the plan any more."""

    clips: int
    of: int  # clips of the newest version
    sequences: tuple[str, ...]  # that lose clips, sorted

    @property
    def fraction(self) -> float:
        """Gives their share of the newest version's clips, 0 to 1."""
        return self.clips / self.of if self.of else 0.0

    def __str__(self) -> str:
        named = ", ".join(self.sequences[:NAMED])
        more = f" and {len(self.sequences) - NAMED:,} more" if len(self.sequences) > NAMED else ""
        return f"{self.clips:,} of its {self.of:,} clips, of {named}{more}"


def dropped_by(prepared: Prepared) -> Dropped:
    """Finds the clips that go without a successor.

    A clip that is rendered anew since its labels, its generator or its settings changed has one: the plan still
    covers its sequence and variant at the time at which it begins.
    """
    base, plan = prepared.base, prepared.plan
    if base is None or not plan.dropped:
        return Dropped(0, 0, ())
    clips = base.clips()
    start_C = np.rint(clips["timestamp_s"].to_numpy() * base.record.spec.source.fps)
    clips = clips.set_column(1, "sequence_id", clips["sequence_id"].cast(pa.string())).append_column(
        "start", pa.array(start_C)
    )
    wanted = pa.chunked_array([plan.reused, plan.excluded]).combine_chunks()
    stays = pc.is_in(clips["clip_id"], value_set=wanted)
    gone = clips.filter(pc.invert(stays)).select([*_KEYS, "start"])
    kept = clips.filter(stays)
    shards = plan.shards
    new = pa.table(
        {
            "sequence_id": shards.sequences.ids.take(pa.array(shards.sequence_C)).cast(pa.string()),
            "variant": pa.array(shards.variant_C, pa.int32()),
            "stop": pa.array((shards.start_C + shards.span_C).astype(np.float64)),
        }
    )
    old = kept.select(_KEYS).append_column("stop", pc.add(kept["start"], kept["frames"].cast(pa.float64())))
    covered = pa.concat_tables([new, old.cast(new.schema)]).group_by(_KEYS).aggregate([("stop", "max")])
    found = gone.join(covered, keys=_KEYS, join_type="left outer")
    lost = found.filter(pc.fill_null(pc.greater_equal(found["start"], found["stop_max"]), True))
    return Dropped(len(lost), len(clips), tuple(sorted(set(lost["sequence_id"].to_pylist()))))


def check_dropped(prepared: Prepared) -> None:
    """Raises DroppedError if more clips go without a successor than `failure.max_dropped_fraction` allows."""
    spec, base = prepared.job.spec, prepared.base
    found = dropped_by(prepared)
    if base is None or found.fraction <= spec.failure.max_dropped_fraction:
        return
    raise DroppedError(
        f"not published: version {base.number} of {spec.dataset.uri} would lose {found}, more than"
        f" failure.max_dropped_fraction {spec.failure.max_dropped_fraction:g} allows. Is all of {spec.source.uri} there"
        " and readable? If they are meant to go, run the same command with --allow-drop"
    )
