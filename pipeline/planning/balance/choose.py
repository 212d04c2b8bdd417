"""Chooses edits for clips, one clip after the other in an order that the seed decides, until every class has its
share."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.planning.balance.trial import Stage, Vector
from flowreel.schemas.edit import Edit, Insert, Remove
from flowreel.schemas.variants import Balance

WITHIN = 0.1  # of the target; missing it by more is an error
ENOUGH = 0.03  # of the target; close enough to stop
SCALES = (1.0, 0.7, 0.5, 0.35)  # of an object that would exceed the target at its own size
ROUNDS = 2  # passes: objects of one class hide those of another


@dataclass
class Choice:
    """The edits of P spans, and the class shares that follow."""

    stage: Stage
    share_PC: NDArray[np.float64]  # summed over a span's published frames, as its edits leave it
    frames: int  # published, in all
    order: list[int]
    edits: list[tuple[Edit, ...]]
    _mean: dict[Edit, list[Vector]] = field(default_factory=dict)  # measured effects of an edit, per frame
    _total_C: Vector = field(init=False)

    def __post_init__(self) -> None:
        self._total_C = self.share_PC.sum(axis=0)

    def share(self, label: int) -> float:
        """Gives a class's share of all published pixels, as the edits leave it."""
        return float(self._total_C[label] / max(1, self.frames))

    def lower(self, label: int, target: float) -> None:
        """Removes the class from whole spans."""
        edit = Remove(remove=self.stage.job.space.by_id[label].name)
        for span in self.order:
            total = self.share(label)
            if total <= target * (1 + ENOUGH):
                return
            if edit not in self.edits[span] and self.share_PC[span, label] > 0:
                after = self._after(span, (*self.edits[span], edit))
                if total + (after[label] - self.share_PC[span, label]) / self.frames >= target * (1 - WITHIN / 2):
                    self._take(span, (*self.edits[span], edit), after)

    def raise_(self, label: int, target: float, objects: Sequence[Insert], most: int) -> None:
        """Inserts objects of the class into spans: one into each, then another, up to ``most``."""
        sizes = frozenset(_sizes(objects))
        for count in range(1, most + 1):
            for turn, span in enumerate(self.order):
                if self.share(label) >= target * (1 - ENOUGH):
                    return
                if sum(edit in sizes for edit in self.edits[span]) < count:
                    self._add(span, label, target, objects[(turn + count - 1) % len(objects)])

    def _add(self, span: int, label: int, target: float, edit: Insert) -> None:
        """Inserts the object at the largest scale that does not exceed the target."""
        total, before = self.share(label), self.share_PC[span, label]
        for scaled in _sizes([edit]):
            edits = (*self.edits[span], scaled)
            after = self._after(span, edits)
            gain = float(after[label] - before) / self.frames
            if scaled in self.edits[span] or gain <= 0:
                return
            if total + gain <= target * (1 + WITHIN / 2):
                self._take(span, edits, after)
                return

    def _take(self, span: int, edits: tuple[Edit, ...], after: Vector) -> None:
        """Accepts edits for a span."""
        self._total_C += after - self.share_PC[span]
        self.edits[span], self.share_PC[span] = edits, after

    def _after(self, span: int, edits: tuple[Edit, ...]) -> Vector:
        """Gives a span's shares with one more edit: measured on its maps, or estimated from what it did to others."""
        edit, now = edits[-1], self.share_PC[span]
        frames = max(1, int(self.stage.spans.frames_P[span]) - self.stage.skip)
        if self.stage.has(span):
            after = self.stage.shares(span, edits)
            self._mean.setdefault(edit, []).append((after - self.stage.shares(span, edits[:-1])) / frames)
            return after
        if isinstance(edit, Remove):
            after = now.copy()
            after[self.stage.job.space.resolve(edit.remove)] = 0
            return after
        seen = self._mean.get(edit)
        return now + frames * np.mean(seen, axis=0) if seen else now


def in_order(names: Sequence[tuple[str, int]], seed: int) -> list[int]:
    """Shuffles spans, named by sequence and start; those that stay keep their order when others come."""
    keys = [hashlib.sha256(f"{seed} {start} {name}".encode()).digest() for name, start in names]
    return sorted(range(len(keys)), key=keys.__getitem__)


def reach_targets(
    choice: Choice, rule: Balance, targets: Mapping[int, float], objects: Mapping[int, Sequence[Insert]]
) -> None:
    """Chooses edits until every class has its share. Removes first: what is inserted later must not be removed."""
    for label, target in sorted(targets.items()):
        if target < choice.share(label):
            choice.lower(label, target)
    for _ in range(ROUNDS):
        for label, target in sorted(targets.items()):
            if objects.get(label) and choice.share(label) < target * (1 - ENOUGH):
                choice.raise_(label, target, objects[label], rule.objects)


def _sizes(objects: Sequence[Insert]) -> list[Insert]:
    """Gives each object at all scales, largest first."""
    return [edit.model_copy(update={"scale": scale}) for edit in objects for scale in SCALES]
