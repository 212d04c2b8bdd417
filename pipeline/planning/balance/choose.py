"""Edits for clips, one clip after the other in an order that the seed decides, until every class has its share."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.planning.balance.trial import Stage, Vector
from flowreel.schemas.edit import Edit, Insert, Remove
from flowreel.schemas.variants import Balance

WITHIN = 0.1  # of the target
ENOUGH = 0.03  # nearer than that nothing more is done
SCALES = (1.0, 0.7, 0.5, 0.35)  # of an object that is too much at its own size
ROUNDS = 2  # objects of one class hide those of another


@dataclass
class Choice:
    """The edits of P pieces, and the class shares that follow."""

    stage: Stage
    share_PC: NDArray[np.float64]  # summed over a piece's published frames, as its edits leave it
    frames: int  # published, in all
    order: list[int]
    edits: list[tuple[Edit, ...]]
    _mean: dict[Edit, list[Vector]] = field(default_factory=dict)  # what was seen of an edit, per frame
    _total_C: Vector = field(init=False)

    def __post_init__(self) -> None:
        self._total_C = self.share_PC.sum(axis=0)

    def share(self, label: int) -> float:
        return float(self._total_C[label] / max(1, self.frames))

    def lower(self, label: int, target: float) -> None:
        """Removes the class from whole pieces."""
        edit = Remove(remove=self.stage.job.space.by_id[label].name)
        for piece in self.order:
            total = self.share(label)
            if total <= target * (1 + ENOUGH):
                return
            if edit not in self.edits[piece] and self.share_PC[piece, label] > 0:
                after = self._after(piece, (*self.edits[piece], edit))
                if total + (after[label] - self.share_PC[piece, label]) / self.frames >= target * (1 - WITHIN / 2):
                    self._take(piece, (*self.edits[piece], edit), after)

    def raise_(self, label: int, target: float, objects: Sequence[Insert], most: int) -> None:
        """Puts objects of the class into pieces: one into each, then another, up to ``most``."""
        sizes = frozenset(_sizes(objects))
        for count in range(1, most + 1):
            for turn, piece in enumerate(self.order):
                if self.share(label) >= target * (1 - ENOUGH):
                    return
                if sum(edit in sizes for edit in self.edits[piece]) < count:
                    self._add(piece, label, target, objects[(turn + count - 1) % len(objects)])

    def _add(self, piece: int, label: int, target: float, edit: Insert) -> None:
        """The object at the largest size that is not too much."""
        total, before = self.share(label), self.share_PC[piece, label]
        for scaled in _sizes([edit]):
            edits = (*self.edits[piece], scaled)
            after = self._after(piece, edits)
            gain = float(after[label] - before) / self.frames
            if scaled in self.edits[piece] or gain <= 0:
                return
            if total + gain <= target * (1 + WITHIN / 2):
                self._take(piece, edits, after)
                return

    def _take(self, piece: int, edits: tuple[Edit, ...], after: Vector) -> None:
        self._total_C += after - self.share_PC[piece]
        self.edits[piece], self.share_PC[piece] = edits, after

    def _after(self, piece: int, edits: tuple[Edit, ...]) -> Vector:
        """A piece's shares with one more edit: tried out, or by what it did to those that were."""
        edit, now = edits[-1], self.share_PC[piece]
        frames = max(1, int(self.stage.pieces.frames_P[piece]) - self.stage.skip)
        if self.stage.has(piece):
            after = self.stage.shares(piece, edits)
            self._mean.setdefault(edit, []).append((after - self.stage.shares(piece, edits[:-1])) / frames)
            return after
        if isinstance(edit, Remove):
            after = now.copy()
            after[self.stage.job.space.resolve(edit.remove)] = 0
            return after
        seen = self._mean.get(edit)
        return now + frames * np.mean(seen, axis=0) if seen else now


def in_order(names: Sequence[tuple[str, int]], seed: int) -> list[int]:
    """Places of pieces, named by sequence and start: drawn, but the same for those that stay when others come."""
    keys = [hashlib.sha256(f"{seed} {start} {name}".encode()).digest() for name, start in names]
    return sorted(range(len(keys)), key=keys.__getitem__)


def reach_targets(
    choice: Choice, rule: Balance, targets: Mapping[int, float], objects: Mapping[int, Sequence[Insert]]
) -> None:
    """Removes first: what is put in later must not go."""
    for label, target in sorted(targets.items()):
        if target < choice.share(label):
            choice.lower(label, target)
    for _ in range(ROUNDS):
        for label, target in sorted(targets.items()):
            if objects.get(label) and choice.share(label) < target * (1 - ENOUGH):
                choice.raise_(label, target, objects[label], rule.objects)


def _sizes(objects: Sequence[Insert]) -> list[Insert]:
    return [edit.model_copy(update={"scale": scale}) for edit in objects for scale in SCALES]
