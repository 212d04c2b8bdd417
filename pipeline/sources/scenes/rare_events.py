"""Rare events of streets that datasets need, each in a given share of all streets."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from flowreel.pipeline.sources.scenes import bodies
from flowreel.pipeline.sources.scenes.street_plan import BEHIND, StreetPlan
from flowreel.pipeline.sources.scenes.world import Pose
from flowreel.schemas.source_kinds import RareSpec

CROWD = (10, 25)  # people


class Placement(NamedTuple):
    """An instance to add to a street.

    Poses that it cycles through, metres across and along the street at the start of the drive, speed along it in m/s,
    cycles of poses a second, and speed across it, to the right, in m/s.
    """

    poses: tuple[Pose, ...]
    across: float
    along: float
    speed: float = 0.0
    pace: float = 0.0
    drift: float = 0.0


def rare_events(plan: StreetPlan, rare: RareSpec, rng: np.random.Generator) -> Iterator[Placement]:
    """Samples each event by its own chance; one event's random numbers do not change another's."""
    events = ((rare.jaywalker, _jaywalker), (rare.crowd, _crowd), (rare.cross_traffic, _cross_traffic))
    for share, event in (*events, (rare.cyclist_ahead, _cyclist_ahead)):
        own = np.random.default_rng(rng.integers(2**32)) if share else rng
        if share and own.random() < share:
            yield from event(plan, own)


def _moment(plan: StreetPlan, rng: np.random.Generator) -> tuple[float, float]:
    """Samples a time of the drive in seconds, and how far the camera is then, in metres."""
    time = rng.uniform(0.2, 0.9) * plan.drive / plan.speed
    return float(time), float(plan.speed * time)


def _jaywalker(plan: StreetPlan, rng: np.random.Generator) -> Iterator[Placement]:
    """Yields a person in the middle of the lane at some moment, near enough to brake for."""
    time, at = _moment(plan, rng)
    drift = rng.uniform(1.2, 2.2) * rng.choice([-1.0, 1.0])
    poses = tuple(bodies.turned(pose, np.sign(drift) * 0.5 * np.pi) for pose in bodies.person(rng))
    yield Placement(poses, -drift * time, at + rng.uniform(9.0, 20.0), pace=1.1, drift=drift)


def _crowd(plan: StreetPlan, rng: np.random.Generator) -> Iterator[Placement]:
    """Yields people close together on one sidewalk, most of them standing."""
    side = plan.right if rng.random() < 0.5 else plan.left
    middle = rng.uniform(12.0, plan.drive + 25.0)
    for _ in range(int(rng.integers(*CROWD))):
        across = side.sign * rng.uniform(side.kerb + 0.4, side.front - 0.3)
        poses, walks = bodies.person(rng), rng.random() < 0.3
        along = max(BEHIND, middle + rng.normal(0.0, 2.5))
        yield Placement(poses, across, along, 1.1 if walks else 0.0, pace=0.8 if walks else 0.0)


def _cross_traffic(plan: StreetPlan, rng: np.random.Generator) -> Iterator[Placement]:
    """Yields a vehicle that crosses at the first junction that comes into view, or on the street itself where there is
    none."""
    time, at = _moment(plan, rng)
    near = at + 14.0
    ahead = [0.5 * (start + end) for start, end in plan.crossings if near < start < at + 60.0]
    drift = rng.uniform(6.0, 10.0) * rng.choice([-1.0, 1.0])
    kind = rng.random()
    pose = bodies.bus() if kind < 0.2 else bodies.truck() if kind < 0.5 else bodies.car(rng)
    pose = bodies.turned(pose, np.sign(drift) * 0.5 * np.pi)
    yield Placement((pose,), -drift * time, ahead[0] if ahead else near + rng.uniform(6.0, 20.0), drift=drift)


def _cyclist_ahead(plan: StreetPlan, rng: np.random.Generator) -> Iterator[Placement]:
    """Yields a bicycle and its rider, as fast as the camera, which would otherwise run them over."""
    across, along, speed = rng.uniform(0.2, 1.0), rng.uniform(8.0, 12.0), plan.speed
    yield Placement((bodies.bicycle(),), across, along, speed)
    yield Placement(bodies.rider(), across, along - 0.55, speed, pace=1.3)
