"""Plans a run from sequences, spec and newest version. Pure: no I/O, no clock, no randomness; the same input gives the
same plan.

Everything is in columns: a span is a range of frames of one sequence, a clip is a span in one variant.
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
from flowreel.pipeline.identity import as_clip_ids, clip_ids, shard_ids, variant_digest, variant_parts
from flowreel.pipeline.planning.spans import Spans, split_into_spans
from flowreel.pipeline.planning.splits import assign_splits
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
    """The clips of the newest version of the dataset."""

    version: int | None = None
    clip_ids: pa.Array = field(default_factory=lambda: pa.array([], CLIP_ID))
    excluded: pa.Array = field(default_factory=lambda: pa.array([], CLIP_ID))  # rejected by the gates, or failed
    splits: Mapping[str, str] = field(default_factory=dict)  # of its sequences, where the spec's shares are its own


@dataclass(frozen=True)
class Inputs:
    """Everything that decides the plan beside the sequences."""

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
    """All clips that a spec wants, in order of sequence, variant and start. ``span_C``: index of each clip's span."""

    id_C16: NDArray[np.uint8]
    span_C: NDArray[np.int32]
    variant_C: NDArray[np.int32]


def plan(sequences: Sequences, inputs: Inputs, published: Published) -> Plan:
    """Plans all clips that the spec wants, less those that are published or excluded, in lock-step shards.

    Published clips stay in their shards; new ones are packed in order of sequence, variant and start, clips of one
    length together, ``batch`` of them at least.
    """
    spec = inputs.spec
    splits = assign_splits(sequences, spec.split, published.splits)
    instances = inputs.uses_instances or spec.decided_by_instances or spec.source.kind == "pose"
    spans = split_into_spans(sequences, splits, spec.clips, instances=instances)
    variant_settings = tuple(_settings_of(index, inputs) for index in range(len(spec.variants)))
    longest = max(each.stride for each in variant_settings)
    too_short = tuple(spans.names(published_frames(every_nth(spans.frames_P, longest), inputs) < 1))
    clips = _clips(spans, variant_settings, inputs)
    is_published, is_excluded = _among(clips.id_C16, published.clip_ids), _among(clips.id_C16, published.excluded)
    reused = as_clip_ids(clips.id_C16[is_published & ~is_excluded])
    order, first = _pack(spans, clips, np.flatnonzero(~is_published & ~is_excluded), variant_settings, inputs.settings)
    span, id_C16 = clips.span_C[order], clips.id_C16[order]
    shards = Shards(
        id_M16=shard_ids(id_C16, first),
        first_M1=first,
        clip_C16=id_C16,
        sequence_C=spans.sequence_P[span],
        variant_C=clips.variant_C[order],
        start_C=spans.start_P[span],
        span_C=spans.frames_P[span],
        sequences=sequences,
        splits=pa.array(splits, pa.string()).dictionary_encode(),
        variant_settings=variant_settings,
    )
    return Plan(
        plan_id=_plan_id(clips, published, shards, spec),
        base_version=published.version,
        settings=inputs.settings,
        shards=shards,
        reused=reused,
        dropped=len(published.clip_ids) - len(reused),
        excluded=as_clip_ids(clips.id_C16[is_excluded]),
        too_short=too_short,
    )


def _plan_id(wanted: _Clips, published: Published, shards: Shards, spec: Spec) -> str:
    """Names the run. The gates are part of it, so that outcomes recorded under other bounds are not taken for its
    own."""
    counts = [len(wanted.id_C16), published.version, len(shards), spec.quality.model_dump(mode="json")]
    state = hashlib.sha256(json.dumps(counts, sort_keys=True).encode())
    state.update(np.ascontiguousarray(wanted.id_C16).data)
    state.update(np.ascontiguousarray(shards.id_M16).data)
    return state.hexdigest()[:32]


def published_frames(label_frames: NDArray[np.int32], inputs: Inputs) -> NDArray[np.int32]:
    """Counts the pairs that clips publish: all, or all but the first T-1."""
    if inputs.spec.clips.lead_in == "repeat":
        return label_frames
    return np.maximum(0, label_frames - (inputs.window - 1)).astype(np.int32)


def _clips(spans: Spans, variant_settings: Sequence[VariantSettings], inputs: Inputs) -> _Clips:
    """Combines every span with every variant, except for those that get no image."""
    found = []
    for index, chosen_settings in enumerate(variant_settings):
        long_enough = published_frames(every_nth(spans.frames_P, chosen_settings.stride), inputs) >= 1
        wanted = True if inputs.chosen_PK is None else (inputs.chosen_PK == index).any(axis=1)
        chosen = np.flatnonzero(long_enough & wanted)
        ids = clip_ids(variant_digest(_identity_parts(index, chosen_settings, inputs)), spans.digest_P16[chosen])
        found.append(_Clips(ids, chosen.astype(np.int32), np.full(len(chosen), index, np.int32)))
    id_C16, span_C, variant_C = (
        np.concatenate([getattr(clips, name) for clips in found]) for name in ("id_C16", "span_C", "variant_C")
    )
    # Within a sequence all its spans in the first variant stand before all of them in the second.
    place_C = spans.sequence_P[span_C].astype(np.int64) * len(variant_settings) + variant_C
    order = np.argsort(place_C, kind="stable")  # stable: merges runs that are already in order
    return _Clips(id_C16[order], span_C[order], variant_C[order])


def _settings_of(index: int, inputs: Inputs) -> VariantSettings:
    """Gathers what a variant gives to each of its clips."""
    variant = inputs.spec.variants[index]
    exemplar = None if variant.style == GENERATE else inputs.exemplars[variant.style]
    # a source with problems has none: it is planned to say what it holds, and not rendered
    donors = tuple(inputs.donors[edit] for edit in inserts(variant) if edit in inputs.donors)
    return VariantSettings(inputs.spec.seed_of(variant), exemplar, donors, frame_steps(variant.edits))


def _identity_parts(index: int, chosen_settings: VariantSettings, inputs: Inputs) -> dict[str, object]:
    """Collects the parts of identity that all clips of a variant share."""
    variant = inputs.spec.variants[index]
    return {"variant": index} | variant_parts(variant, chosen_settings, inputs.spec, inputs.space, inputs.settings)


def _among(id_C16: NDArray[np.uint8], wanted: pa.Array) -> NDArray[np.bool_]:
    """Tells which ids are wanted ones."""
    if not len(wanted):
        return np.zeros(len(id_C16), np.bool_)
    return np.asarray(pc.is_in(as_clip_ids(id_C16), value_set=wanted))


def _pack(
    spans: Spans,
    clips: _Clips,
    new: NDArray[np.int64],
    variant_settings: Sequence[VariantSettings],
    settings: RenderSettings,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gives the clips at the rows ``new``, reordered shard by shard, and the M + 1 bounds of the M shards.

    A shard holds whole lock-step batches, of about SHARD_FRAMES frames: clips of one length and one kind of start.
    Shorter clips stand before longer ones, and of one length those that begin with an exemplar before those that
    generate their first frames.
    """
    stride_V, generates_V = (
        np.array([x.stride for x in variant_settings]),
        np.array([x.exemplar is None for x in variant_settings]),
    )
    variant_C = clips.variant_C[new]
    length_C, generates_C = every_nth(spans.frames_P[clips.span_C[new]], stride_V[variant_C]), generates_V[variant_C]
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
