"""What streets rarely show, and data sets need: each in a given share of all streets."""

from typing import TYPE_CHECKING

import numpy as np

from flowreel.pipeline.sources.scenes import bodies
from flowreel.pipeline.sources.scenes.street_plan import BEHIND

if TYPE_CHECKING:
    from flowreel.pipeline.sources.scenes.street import Street

CROWD = (10, 25)  # people


def add_rare_events(street: "Street") -> None:
    """Each by its own chance; what one does not happen to draw does not change the others."""
    rng, rare = street.rng, street.like.rare
    events = ((rare.jaywalker, _jaywalker), (rare.crowd, _crowd), (rare.cross_traffic, _cross_traffic))
    for share, event in (*events, (rare.cyclist_ahead, _cyclist_ahead)):
        own = np.random.default_rng(rng.integers(2**32)) if share else rng
        if share and own.random() < share:
            event(street, own)


def _moment(street: "Street", rng: np.random.Generator) -> tuple[float, float]:
    """A time of the drive in seconds, and how far the camera is then."""
    plan = street.plan
    time = rng.uniform(0.2, 0.9) * plan.drive / plan.speed
    return float(time), float(plan.speed * time)


def _jaywalker(street: "Street", rng: np.random.Generator) -> None:
    """In the middle of the lane at some moment, near enough to brake for."""
    time, at = _moment(street, rng)
    drift = rng.uniform(1.2, 2.2) * rng.choice([-1.0, 1.0])
    poses = tuple(bodies.turned(pose, np.sign(drift) * 0.5 * np.pi) for pose in bodies.person(rng))
    street.add_instance(poses, -drift * time, at + rng.uniform(9.0, 20.0), pace=1.1, drift=drift)


def _crowd(street: "Street", rng: np.random.Generator) -> None:
    """Close together on one sidewalk, most of them standing."""
    plan = street.plan
    side = plan.right if rng.random() < 0.5 else plan.left
    middle = rng.uniform(12.0, plan.drive + 25.0)
    for _ in range(int(rng.integers(*CROWD))):
        across = side.sign * rng.uniform(side.kerb + 0.4, side.front - 0.3)
        poses, walks = bodies.person(rng), rng.random() < 0.3
        along = max(BEHIND, middle + rng.normal(0.0, 2.5))
        street.add_instance(poses, across, along, 1.1 if walks else 0.0, pace=0.8 if walks else 0.0)


def _cross_traffic(street: "Street", rng: np.random.Generator) -> None:
    """At the first junction that comes into view; on the street itself where there is none."""
    time, at = _moment(street, rng)
    near = at + 14.0
    ahead = [0.5 * (start + end) for start, end in street.plan.crossings if near < start < at + 60.0]
    drift = rng.uniform(6.0, 10.0) * rng.choice([-1.0, 1.0])
    kind = rng.random()
    pose = bodies.bus() if kind < 0.2 else bodies.truck() if kind < 0.5 else bodies.car(rng)
    pose = bodies.turned(pose, np.sign(drift) * 0.5 * np.pi)
    street.add_instance((pose,), -drift * time, ahead[0] if ahead else near + rng.uniform(6.0, 20.0), drift=drift)


def _cyclist_ahead(street: "Street", rng: np.random.Generator) -> None:
    """As fast as the camera, or it would be run over."""
    across, along, speed = rng.uniform(0.2, 1.0), rng.uniform(8.0, 12.0), street.plan.speed
    street.add_instance((bodies.bicycle(),), across, along, speed)
    street.add_instance(bodies.rider(), across, along - 0.55, speed, pace=1.3)
