"""Sequences + spec + newest version -> plan. Pure: no I/O, no clock, no randomness; the same input, the same plan.

Columns throughout: a piece is a span of frames of one sequence, a clip is a piece in one variant.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.clip_parts import variant_parts
from pipeline.identity import as_clip_ids, clip_ids, look_digest, shard_ids, split_of
from pipeline.pieces import Pieces, cut
from schemas.label_space import LabelSpace
from schemas.plan import CLIP_ID, ID_BYTES, Exemplar, Look, Plan, RenderSettings, Shards
from schemas.sequence import Sequences
from schemas.spec import GENERATE, Spec, Variant

# Frames per shard: large enough to amortise a hand-out, small enough to lose to a kill.
SHARD_FRAMES = {"cpu": 60, "cuda": 480}


@dataclass(frozen=True)
class Held:
    """What the newest version of the dataset holds."""

    version: int | None = None
    clip_ids: pa.Array = field(default_factory=lambda: pa.array([], CLIP_ID))
    turned_down: pa.Array = field(default_factory=lambda: pa.array([], CLIP_ID))  # by the gates; or failed before


@dataclass(frozen=True)
class Inputs:
    """What decides the plan beside the sequences."""

    spec: Spec
    space: LabelSpace
    settings: RenderSettings
    window: int  # T: label frames that the generator sees at once
    uses_instances: bool  # the generator has an instance edge channel
    exemplars: Mapping[str, Exemplar] = field(default_factory=dict)  # per style uri


@dataclass(frozen=True)
class _Clips:
    """All clips that a spec wants, in order of sequence, variant and start."""

    id_C16: NDArray[np.uint8]
    piece_C: NDArray[np.int32]
    variant_C: NDArray[np.int32]


def plan(sequences: Sequences, inputs: Inputs, held: Held) -> Plan:
    """All clips that the spec wants, less those that ``held`` has or has turned down, in lock-step shards.

    Clips that the version holds stay in their shards; new ones are packed in order of sequence, variant and start,
    clips of one length together, ``batch`` of them at least.
    """
    spec = inputs.spec
    splits = [split_of(sequence_id, spec.split) for sequence_id in sequences.ids.to_pylist()]
    pieces = cut(
        sequences,
        splits,
        spec.clips,
        instances=inputs.uses_instances or spec.output.instances or spec.source.kind == "pose",
    )
    too_short = tuple(pieces.names(published_frames(pieces.frames_P, inputs) < 1))
    pieces = pieces.where(published_frames(pieces.frames_P, inputs) >= 1)
    clips = _clips(pieces, inputs)
    is_held, is_down = _among(clips.id_C16, held.clip_ids), _among(clips.id_C16, held.turned_down)
    reused = as_clip_ids(clips.id_C16[is_held & ~is_down])
    looks = tuple(_look(variant, inputs) for variant in spec.variants)
    generates = np.array([look.exemplar is None for look in looks])
    order, first = _packed(pieces, clips, np.flatnonzero(~is_held & ~is_down), generates, inputs.settings)
    piece, id_C16 = clips.piece_C[order], clips.id_C16[order]
    shards = Shards(
        id_M16=shard_ids(id_C16, first),
        first_M1=first,
        clip_C16=id_C16,
        sequence_C=pieces.sequence_P[piece],
        variant_C=clips.variant_C[order],
        start_C=pieces.start_P[piece],
        frames_C=pieces.frames_P[piece],
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
        turned_down=as_clip_ids(clips.id_C16[is_down]),
        too_short=too_short,
    )


def _plan_id(wanted: _Clips, held: Held, shards: Shards, spec: Spec) -> str:
    """Names the run. The gates are in it, so that outcomes recorded under other bounds are not taken for its own."""
    counts = [len(wanted.id_C16), held.version, len(shards), spec.quality.model_dump(mode="json")]
    state = hashlib.sha256(json.dumps(counts, sort_keys=True).encode())
    state.update(np.ascontiguousarray(wanted.id_C16).data)
    state.update(np.ascontiguousarray(shards.id_M16).data)
    return state.hexdigest()[:32]


def published_frames(label_frames: NDArray[np.int32], inputs: Inputs) -> NDArray[np.int32]:
    """How many pairs clips publish: all, or all but the first T-1."""
    if inputs.spec.clips.lead_in == "repeat":
        return label_frames
    return np.maximum(0, label_frames - (inputs.window - 1)).astype(np.int32)


def _clips(pieces: Pieces, inputs: Inputs) -> _Clips:
    """Every piece in every variant."""
    spec, count = inputs.spec, len(pieces)
    variants = len(spec.variants)
    # Within a sequence all its pieces in the first variant stand before all of them in the second.
    number_S = np.bincount(pieces.sequence_P, minlength=1)
    before_S = np.cumsum(number_S) - number_S
    s = pieces.sequence_P
    place_P = before_S[s] * variants + (np.arange(count) - before_S[s])
    ids = np.empty((count * variants, ID_BYTES), np.uint8)
    piece, variant_of = np.empty(count * variants, np.int32), np.empty(count * variants, np.int32)
    for index, variant in enumerate(spec.variants):
        ids[place_P] = clip_ids(look_digest(_decides_look(index, variant, inputs)), pieces.digest_P16)
        piece[place_P] = np.arange(count)
        variant_of[place_P] = index
        place_P += number_S[s]
    return _Clips(ids, piece, variant_of)


def _look(variant: Variant, inputs: Inputs) -> Look:
    exemplar = None if variant.style == GENERATE else inputs.exemplars[variant.style]
    return Look(inputs.spec.seed_of(variant), exemplar)


def _decides_look(index: int, variant: Variant, inputs: Inputs) -> dict[str, object]:
    """The parts of identity that all clips of a variant share."""
    exemplar = _look(variant, inputs).exemplar
    return {"variant": index} | variant_parts(variant, exemplar, inputs.spec, inputs.space, inputs.settings)


def _among(id_C16: NDArray[np.uint8], held: pa.Array) -> NDArray[np.bool_]:
    """Which ids the version holds."""
    if not len(held):
        return np.zeros(len(id_C16), np.bool_)
    return np.asarray(pc.is_in(as_clip_ids(id_C16), value_set=held))


def _packed(
    pieces: Pieces, clips: _Clips, new: NDArray[np.int64], generates: NDArray[np.bool_], settings: RenderSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The new clips in order of shards, and where each shard begins.

    A shard holds whole lock-step batches, of about SHARD_FRAMES frames: clips of one length and one kind of start.
    """
    length = pieces.frames_P[clips.piece_C[new]]
    kind = length.astype(np.int64) * 2 + generates[clips.variant_C[new]]
    order, first = [new[:0]], [np.zeros(1, np.int64)]
    for value in np.unique(kind):
        rows = new[kind == value]
        batches = max(1, SHARD_FRAMES[settings.device] // (int(value) // 2 * settings.batch))
        ends = np.minimum(np.arange(0, len(rows), count := batches * settings.batch) + count, len(rows))
        first.append(first[-1][-1] + ends)
        order.append(rows)
    return np.concatenate(order), np.concatenate(first)
