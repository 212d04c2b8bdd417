"""Turns target shares into variants, and chooses the variant of each span."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.edits import remap_table
from flowreel.pipeline.planning.balance.choose import WITHIN, Choice, in_order, reach_targets
from flowreel.pipeline.planning.balance.class_shares import frame_shares, span_sums
from flowreel.pipeline.planning.balance.objects import find_objects
from flowreel.pipeline.planning.balance.trial import Stage
from flowreel.pipeline.planning.donors import frames_of
from flowreel.pipeline.planning.spans import Spans
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.edit import Edit, Insert
from flowreel.schemas.errors import UsageError
from flowreel.schemas.variants import Balance, Variant


@dataclass(frozen=True)
class Balanced:
    """The variants that a rule for balance leads to."""

    variants: tuple[Variant, ...]
    chosen_P: NDArray[np.int32]  # each span's variant
    targets: Mapping[int, float]
    before: Mapping[int, float]  # class id -> share of published pixels, without any edit
    after: Mapping[int, float]


def balanced(rule: Balance, job: RenderJob, spans: Spans, facts: pa.Table, skip: int) -> Balanced:
    """Chooses edits and variants. ``facts``: of the source's files; ``skip``: first frames of a clip that are not
    published.

    Raises UsageError, saying what can be reached and why no more, for a target that is missed by more than a tenth.
    """
    targets = {job.space.resolve(key): share for key, share in rule.balance.items()}
    if sum(targets.values()) > 1:
        raise UsageError(f"variants.balance: shares sum to {sum(targets.values()):g}, must be 1 at most")
    sequences, classes = spans.sequences, max(job.space.ids) + 1
    share_NC = frame_shares(facts, sequences, remap_table(job.spec.source.classes_of_ids, job.space), classes)
    start_P = sequences.first_S1[spans.sequence_P] + spans.start_P
    share_PC = span_sums(share_NC, np.minimum(start_P + skip, start_P + spans.frames_P), start_P + spans.frames_P)
    frames = int(np.maximum(spans.frames_P - skip, 0).sum())
    before = _shares(share_PC, frames)
    found: dict[int, list[Insert]] = {}
    for label, target in targets.items():
        if target > before.get(label, 0.0):
            found[label] = _objects(label, target, before.get(label, 0.0), job, spans, share_PC)
    stage = Stage(job, spans, lambda edit: frames_of(edit, job.spec, sequences), classes, skip)
    names = [(sequences.ids[int(s)].as_py(), int(at)) for s, at in zip(spans.sequence_P, spans.start_P, strict=True)]
    seed = job.spec.clips.seed if rule.seed is None else rule.seed
    choice = Choice(stage, share_PC.copy(), frames, in_order(names, seed), [()] * len(spans))
    reach_targets(choice, rule, targets, found)
    after = _shares(choice.share_PC, frames)
    _check_reached(rule, targets, before, after, job)
    variants, chosen_P = _variants(choice.edits, rule)
    return Balanced(variants, chosen_P, targets, before, after)


def _objects(
    label: int, target: float, now: float, job: RenderJob, spans: Spans, share_PC: NDArray[np.float64]
) -> list[Insert]:
    """Finds objects of a class that needs more. Raises UsageError, saying why, if there are none."""
    name = job.space.by_id[label].name
    head = f"variants.balance: {name} {target:.4g} cannot be reached from {now:.4g}: "
    if label not in job.space.things:
        raise UsageError(f"{head}it is stuff, which cannot be inserted; `replace` another class by it instead")
    if not job.spec.source.has_instances:
        raise UsageError(f"{head}objects are extracted by instance maps; name them as source.instances")
    found = find_objects(label, job, spans, share_PC[:, label])
    if not found:
        raise UsageError(f"{head}no sequence shows an object of it to insert into others; add one that does")
    return found


def _check_reached(
    rule: Balance, targets: Mapping[int, float], before: Mapping[int, float], after: Mapping[int, float], job: RenderJob
) -> None:
    """Raises UsageError for targets that are missed."""
    lines = []
    for label, target in targets.items():
        got, had = after.get(label, 0.0), before.get(label, 0.0)
        if abs(got - target) <= max(WITHIN * target, 1e-12):
            continue
        if got < target and target > had:
            why = f"with up to {rule.objects} objects in every clip; raise variants.objects, or lower the target"
        else:
            why = "by removing it from whole clips; shorter clips (clips.frames) give finer steps"
        lines.append(f"{job.space.by_id[label].name} {target:.4g}: it is {had:.4g} now, {got:.4g} is reached {why}")
    if lines:
        raise UsageError("\n  ".join(["variants.balance: impossible with this source", *lines]))


def _variants(edits: list[tuple[Edit, ...]], rule: Balance) -> tuple[tuple[Variant, ...], NDArray[np.int32]]:
    """Gives the distinct lists of edits as variants, the empty one first, then sorted by their text; and each
    span's."""
    lists = sorted({*edits, ()}, key=lambda chosen: (len(chosen), [str(edit) for edit in chosen]))
    place = {chosen: i for i, chosen in enumerate(lists)}
    variants = tuple(Variant(style=rule.style, edits=chosen, seed=rule.seed) for chosen in lists)
    return variants, np.array([place[chosen] for chosen in edits], np.int32)


def _shares(share_PC: NDArray[np.float64], frames: int) -> dict[int, float]:
    """Gives class id -> share of published pixels."""
    total_C = share_PC.sum(axis=0) / max(1, frames)
    return {int(i): float(total_C[i]) for i in np.flatnonzero(total_C > 0)}
