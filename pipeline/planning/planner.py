"""Plans: sequences + spec + newest version -> plan. Pure: no I/O, clock or randomness; the same input, the same plan.

Columns throughout: a piece is a span of frames of one sequence, a clip is a piece in one variant.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.edits.check import inserts
from flowreel.pipeline.identity import as_clip_ids, clip_ids, shard_ids, split_of, variant_digest, variant_parts
from flowreel.pipeline.planning.spans import Spans, split_into_spans
from flowreel.schemas.clip import CLIP_ID, Donor, Exemplar
from flowreel.schemas.edit import Insert, frame_steps
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.plan import Plan, RenderSettings
from flowreel.schemas.sequence import Sequences
from flowreel.schemas.shards import Shards, VariantSettings, every_nth
from flowreel.schemas.spec import Spec
from flowreel.schemas.variants import GENERATE

# Frames per shard: large enough to amortise a hand-out, small enough to lose to a kill.
SHARD_FRAMES = {"cpu": 60, "cuda": 480}


@dataclass(frozen=True)
class Published:
    """Holds the clip ids that the newest version of the dataset has, published and excluded."""

    version: int | None = None
    clip_ids: pa.Array = field(default_factory=lambda: pa.array([], CLIP_ID))
    excluded: pa.Array = field(default_factory=lambda: pa.array([], CLIP_ID))  # by the gates; or failed before


@dataclass(frozen=True)
class Inputs:
    """Gathers what decides the plan beside the sequences."""

    spec: Spec
    space: LabelSpace
    settings: RenderSettings
    window: int  # T: label frames that the generator sees at once
    uses_instances: bool  # the generator has an instance edge channel
    exemplars: Mapping[str, Exemplar] = field(default_factory=dict)  # per style uri
    donors: Mapping[Insert, Donor] = field(default_factory=dict)
    chosen_PK: NDArray[np.int32] | None = None  # the K variants of each span; None: all of them


@dataclass(frozen=True)
class _Clips:
    """Holds all clips that a spec wants, in order of sequence, variant and start."""

    id_C16: NDArray[np.uint8]
    piece_C: NDArray[np.int32]
    variant_C: NDArray[np.int32]


def plan(sequences: Sequences, inputs: Inputs, held: Published) -> Plan:
    """Plans all clips that the spec wants, less those that ``held`` has or has excluded, in lock-step shards.

    Clips that the version holds stay in their shards; new ones are packed in order of sequence, variant and start,
    clips of one length together, ``batch`` of them at least.
    """
    spec = inputs.spec
    splits = [split_of(sequence_id, spec.split) for sequence_id in sequences.ids.to_pylist()]
    instances = inputs.uses_instances or spec.decided_by_instances or spec.source.kind == "pose"
    pieces = split_into_spans(sequences, splits, spec.clips, instances=instances)
    looks = tuple(_look(index, inputs) for index in range(len(spec.variants)))
    longest = max(look.stride for look in looks)
    too_short = tuple(pieces.names(published_frames(every_nth(pieces.frames_P, longest), inputs) < 1))
    clips = _clips(pieces, looks, inputs)
    is_held, is_down = _among(clips.id_C16, held.clip_ids), _among(clips.id_C16, held.excluded)
    reused = as_clip_ids(clips.id_C16[is_held & ~is_down])
    order, first = _packed(pieces, clips, np.flatnonzero(~is_held & ~is_down), looks, inputs.settings)
    piece, id_C16 = clips.piece_C[order], clips.id_C16[order]
    shards = Shards(
        id_M16=shard_ids(id_C16, first),
        first_M1=first,
        clip_C16=id_C16,
        sequence_C=pieces.sequence_P[piece],
        variant_C=clips.variant_C[order],
        start_C=pieces.start_P[piece],
        span_C=pieces.frames_P[piece],
        sequences=sequences,
        splits=pa.array(splits, pa.string()).dictionary_encode(),
        looks=looks,
    )
    return Plan(
        plan_id=_plan_id(clips, held, shards, spec),
        base_version=held.version,
        settings=inputs.settings,
        shards=shards,
        reused=reused,
        dropped=len(held.clip_ids) - len(reused),
        excluded=as_clip_ids(clips.id_C16[is_down]),
        too_short=too_short,
    )


def _plan_id(wanted: _Clips, held: Published, shards: Shards, spec: Spec) -> str:
    """Names the run. The gates are in it, so that outcomes recorded under other bounds are not taken for its own."""
    counts = [len(wanted.id_C16), held.version, len(shards), spec.quality.model_dump(mode="json")]
    state = hashlib.sha256(json.dumps(counts, sort_keys=True).encode())
    state.update(np.ascontiguousarray(wanted.id_C16).data)
    state.update(np.ascontiguousarray(shards.id_M16).data)
    return state.hexdigest()[:32]


def published_frames(label_frames: NDArray[np.int32], inputs: Inputs) -> NDArray[np.int32]:
    """Tells how many pairs clips publish, of their label frames: all, or all but the first T-1."""
    if inputs.spec.clips.lead_in == "repeat":
        return label_frames
    return np.maximum(0, label_frames - (inputs.window - 1)).astype(np.int32)


def _clips(pieces: Spans, looks: Sequence[VariantSettings], inputs: Inputs) -> _Clips:
    """Makes a clip of every piece in every variant, but for those that would get no image."""
    found = []
    for index, look in enumerate(looks):
        long_enough = published_frames(every_nth(pieces.frames_P, look.stride), inputs) >= 1
        wanted = True if inputs.chosen_PK is None else (inputs.chosen_PK == index).any(axis=1)
        chosen = np.flatnonzero(long_enough & wanted)
        ids = clip_ids(variant_digest(_decides_look(index, look, inputs)), pieces.digest_P16[chosen])
        found.append(_Clips(ids, chosen.astype(np.int32), np.full(len(chosen), index, np.int32)))
    id_C16, piece_C, variant_C = (
        np.concatenate([getattr(clips, name) for clips in found]) for name in ("id_C16", "piece_C", "variant_C")
    )
    # Within a sequence all its pieces in the first variant stand before all of them in the second.
    place_C = pieces.sequence_P[piece_C].astype(np.int64) * len(looks) + variant_C
    order = np.argsort(place_C, kind="stable")  # runs that are in order already are merged
    return _Clips(id_C16[order], piece_C[order], variant_C[order])


def _look(index: int, inputs: Inputs) -> VariantSettings:
    """Gathers what all clips of a variant share."""
    variant = inputs.spec.variants[index]
    exemplar = None if variant.style == GENERATE else inputs.exemplars[variant.style]
    # a source with problems has none: it is planned to say what it holds, and not rendered
    donors = tuple(inputs.donors[edit] for edit in inserts(variant) if edit in inputs.donors)
    return VariantSettings(inputs.spec.seed_of(variant), exemplar, donors, frame_steps(variant.edits))


def _decides_look(index: int, look: VariantSettings, inputs: Inputs) -> dict[str, object]:
    """Gives the parts of identity that all clips of a variant share, as a tree for JSON."""
    variant = inputs.spec.variants[index]
    return {"variant": index} | variant_parts(variant, look, inputs.spec, inputs.space, inputs.settings)


def _among(id_C16: NDArray[np.uint8], held: pa.Array) -> NDArray[np.bool_]:
    """Tells of each id (C, 16) whether it is among ``held``: (C,)."""
    if not len(held):
        return np.zeros(len(id_C16), np.bool_)
    return np.asarray(pc.is_in(as_clip_ids(id_C16), value_set=held))


def _packed(
    pieces: Spans, clips: _Clips, new: NDArray[np.int64], looks: Sequence[VariantSettings], settings: RenderSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gives the clips at the rows ``new``, reordered shard by shard, and the M + 1 bounds of the M shards.

    A shard holds whole lock-step batches, of about SHARD_FRAMES frames: clips of one length and one kind of start.
    Shorter clips stand before longer ones, and of one length those that begin with an exemplar before those that
    generate their first frames.
    """
    stride_V, generates_V = np.array([x.stride for x in looks]), np.array([x.exemplar is None for x in looks])
    variant_C = clips.variant_C[new]
    length_C, generates_C = every_nth(pieces.frames_P[clips.piece_C[new]], stride_V[variant_C]), generates_V[variant_C]
    order, first = [new[:0]], [np.zeros(1, np.int64)]
    for length, generates in itertools.product(np.unique(length_C).tolist(), (False, True)):
        rows = new[(length_C == length) & (generates_C == generates)]
        if not len(rows):
            continue
        batches = max(1, SHARD_FRAMES[settings.device] // (length * settings.batch))
        ends = np.minimum(np.arange(0, len(rows), count := batches * settings.batch) + count, len(rows))
        first.append(first[-1][-1] + ends)
        order.append(rows)
    return np.concatenate(order), np.concatenate(first)
