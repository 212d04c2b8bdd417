"""The rounds of an epoch: which source each is of, and whether its frames are stills made from nothing or clips. Pure
functions of the spec."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from flowreel.schemas.training import ScheduleSpec


@dataclass(frozen=True)
class Mix:
    """Everything that the rounds of a run depend on."""

    weights: tuple[float, ...]  # of the sources
    stills: tuple[bool, ...]  # per source: it has nothing else
    rounds: int  # of an epoch
    clips: int  # of a round, over all workers; or batches of ``schedule.stills``
    schedule: ScheduleSpec
    seed: int


@dataclass(frozen=True)
class Round:
    """One round; all workers take the same kind of samples in it."""

    source: int
    alone: bool  # frames are each made from nothing
    half: bool  # and at half the size
    draws: range  # of its source, counted within the epoch


@lru_cache(maxsize=4)
def rounds_of(mix: Mix, epoch: int) -> tuple[Round, ...]:
    """Gives the rounds of an epoch: as many of each source as its weight says, in any order."""
    schedule, rng = mix.schedule, np.random.default_rng((2, mix.seed, epoch))
    bounds = np.cumsum(mix.weights) / np.sum(mix.weights)
    chosen = np.searchsorted(bounds, (np.arange(mix.rounds) + rng.random()) / mix.rounds, side="right")
    sources = rng.permutation(chosen.clip(max=len(bounds) - 1)).tolist()
    moving = rng.random(mix.rounds) < schedule.moving_stills
    rounds, drawn = list[Round](), [0] * len(bounds)
    for number, source in enumerate(sources):
        # So many there were if frames were made from nothing in all rounds before, as they are up to both bounds.
        images = ((epoch - 1) * mix.rounds + number) * mix.clips * schedule.stills
        half = images < schedule.half_size
        alone = half or images < schedule.clips_from or (mix.stills[source] and not moving[number])
        count = mix.clips * (schedule.stills if alone else 1)
        rounds.append(Round(source, alone, half, range(drawn[source], drawn[source] + count)))
        drawn[source] += count
    return tuple(rounds)
