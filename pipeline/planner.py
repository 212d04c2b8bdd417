"""Sequences + spec + newest version -> plan. Pure: no I/O, no clock, no randomness; the same input, the same plan."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.identity import clip_id, digest, shard_id, split_of
from pipeline.template import natural
from schemas.label_space import LabelSpace
from schemas.plan import Clip, Exemplar, Plan, RenderSettings, Shard
from schemas.sequence import Sequence
from schemas.spec import GENERATE, Spec, Variant

# Frames per shard: large enough to amortise a hand-out, small enough to lose to a kill.
SHARD_FRAMES = {"cpu": 60, "cuda": 480}


@dataclass(frozen=True)
class Held:
    """What the newest version of the dataset holds."""

    version: int | None = None
    clip_ids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inputs:
    """What decides the plan beside the sequences."""

    spec: Spec
    space: LabelSpace
    settings: RenderSettings
    window: int  # T: label frames that the generator sees at once
    uses_instances: bool  # the generator has an instance edge channel
    exemplars: Mapping[str, Exemplar] = field(default_factory=dict)  # per style uri


def plan(sequences: Iterable[Sequence], inputs: Inputs, held: Held) -> Plan:
    """All clips that the spec wants, less those that ``held`` has, in lock-step shards.

    Clips that the version holds stay in their shards; new ones are packed in order of sequence, variant and start,
    clips of one length together, ``batch`` of them at least.
    """
    new: dict[tuple[int, bool], list[Clip]] = defaultdict(list)  # clips in lock-step: one length, one kind of start
    reused, wanted, too_short = set(), set(), []
    for sequence in sorted(sequences, key=lambda s: natural(s.sequence_id)):
        for clip in _clips(sequence, inputs):
            if published_frames(len(clip.frames), inputs) < 1:
                too_short.append(f"{clip.sequence_id} frames {clip.start}..{clip.start + len(clip.frames) - 1}")
                continue
            wanted.add(clip.clip_id)
            if clip.clip_id in held.clip_ids:
                reused.add(clip.clip_id)
            else:
                new[len(clip.frames), clip.exemplar is None].append(clip)
    shards = tuple(shard for kind in sorted(new) for shard in _packed(new[kind], kind[0], inputs.settings))
    return Plan(
        plan_id=_plan_id(wanted, held, shards, inputs.spec),
        base_version=held.version,
        settings=inputs.settings,
        shards=shards,
        reused=frozenset(reused),
        dropped=len(held.clip_ids - reused),
        too_short=tuple(dict.fromkeys(too_short)),
    )


def spans(length: int, frames: int, stride: int | None) -> Iterator[tuple[int, int]]:
    """[start, stop) of the clips of a sequence of ``length`` frames, to its end: the last one may be shorter."""
    frames = frames or length
    for start in range(0, length, stride or frames):
        yield start, min(start + frames, length)
        if start + frames >= length:
            return


def _plan_id(wanted: set[str], held: Held, shards: tuple[Shard, ...], spec: Spec) -> str:
    """Names the run. The gates are in it, so that outcomes recorded under other bounds are not taken for its own."""
    gates = spec.quality.model_dump(mode="json")
    return digest([sorted(wanted), held.version, [s.shard_id for s in shards], gates])


def published_frames(label_frames: int, inputs: Inputs) -> int:
    """How many pairs a clip publishes: all, or all but the first T-1."""
    return label_frames if inputs.spec.clips.lead_in == "repeat" else max(0, label_frames - (inputs.window - 1))


def _clips(sequence: Sequence, inputs: Inputs) -> Iterator[Clip]:
    spec = inputs.spec
    split = split_of(sequence.sequence_id, spec.split)
    for index, variant in enumerate(spec.variants):
        exemplar = None if variant.style == GENERATE else inputs.exemplars[variant.style]
        decides = _decides_variant(variant, exemplar, inputs) | {"variant": index, "split": split}
        for start, stop in spans(len(sequence.frames), spec.clips.frames, spec.clips.stride):
            frames = sequence.frames[start:stop]
            parts = decides | {
                "sequence": sequence.sequence_id,
                "start": start,
                "frames": [(f.label.path, f.label.digest) for f in frames],
            }
            if inputs.uses_instances or spec.output.instances:
                parts["instances"] = [f.instance and f.instance.digest for f in frames]
            seed = spec.seed_of(variant)
            yield Clip(clip_id(parts), sequence.sequence_id, index, start, frames, split, seed, exemplar)


def _decides_variant(variant: Variant, exemplar: Exemplar | None, inputs: Inputs) -> dict[str, object]:
    """The parts of identity that all clips of a variant share."""
    spec, settings = inputs.spec, inputs.settings
    return {
        "style": exemplar.digest if exemplar else GENERATE,
        "style_uri": variant.style,
        "edits": [edit.model_dump(mode="json") for edit in variant.edits],
        "seed": spec.seed_of(variant),
        "label_space": inputs.space.digest,
        "remap": sorted((k, inputs.space.resolve(v)) for k, v in spec.source.remap.items()),
        "fps": spec.source.fps,
        "generator": settings.generator,
        "size": settings.size,
        "precision": settings.precision,
        "lead_in": spec.clips.lead_in,
        "output": spec.output.model_dump(mode="json", exclude=_without_effect(spec)),
    }


def _without_effect(spec: Spec) -> set[str]:
    return {"image_quality"} if spec.output.image_codec == "png" else set()


def _packed(clips: list[Clip], length: int, settings: RenderSettings) -> Iterator[Shard]:
    """Shards of whole lock-step batches, of about SHARD_FRAMES frames."""
    batches = max(1, SHARD_FRAMES[settings.device] // (length * settings.batch))
    count = batches * settings.batch
    for first in range(0, len(clips), count):
        group = tuple(clips[first : first + count])
        yield Shard(shard_id(c.clip_id for c in group), group)
