"""The plan of one street and the drive through it, sampled from a random generator.

The camera's lane is at 0 m across, traffic keeps right. Each side of the road is a kerb, perhaps parked cars, perhaps a
strip of grass, a sidewalk and then its frontage: a block of houses, single houses with gardens, or a park.
"""

from dataclasses import dataclass

import numpy as np

from flowreel.pipeline.sources.scenes.world import Camera, Label
from flowreel.schemas.source_kinds import ProceduralSpec

FRAMES_PER_SECOND = 17.0
VIEW = (70.0, 230.0)  # metres of street beyond the end of the drive
BEHIND = -12.0  # metres: where the street begins
LANE = 3.3  # metres wide
PARKING = 2.5  # metres wide


@dataclass(frozen=True)
class Side:
    """One side of the road; distances from the camera's lane in metres, all positive."""

    sign: int  # 1 right, -1 left
    kind: str  # block | houses | park
    kerb: float
    walk: float  # where the sidewalk begins, behind the grass if there is any
    front: float  # where the sidewalk ends
    parked: float  # share of the parking places that are taken, 0 for none
    tree_gap: float  # metres between street trees, infinite for none
    tree_height: float
    eaves: float  # typical height of the houses


@dataclass(frozen=True)
class StreetPlan:
    """The layout of a street, before anything stands in it."""

    speed: float  # of the camera, m/s
    drive: float  # how far the camera goes, metres
    length: float  # metres
    bend: float  # 1/m, to the right
    camera_height: float  # metres
    horizon: float  # share of the picture's height
    sway: tuple[tuple[float, float, float], ...]  # waves of the camera's yaw: (rad, rad/s, phase)
    base: Label  # the ground behind the sidewalks
    crossings: tuple[tuple[float, float], ...]  # where streets cross: (start, end) along this one
    left: Side
    right: Side

    def camera(self, frame: int, width: int, rows: int) -> Camera:
        """Gives the camera at `frame`, for a picture of width x rows pixels; it drifts sideways as its yaw leads it."""
        time = frame / FRAMES_PER_SECOND
        yaw = sum(size * np.sin(rate * time + phase) for size, rate, phase in self.sway)
        across = -self.speed * sum(size / rate * np.cos(rate * time + phase) for size, rate, phase in self.sway)
        nod = 0.003 * np.sin(5.0 * time) + 0.0015 * np.sin(11.0 * time)
        return Camera(
            time=time,
            along=self.speed * time,
            across=across,
            height=self.camera_height,
            yaw=yaw,
            bend=self.bend,
            focal=max(1.1 * width, rows),
            horizon=(self.horizon + nod) * rows,
            width=width,
            rows=rows,
        )


def draw_plan(rng: np.random.Generator, like: ProceduralSpec) -> StreetPlan:
    """Samples a street long enough for `like.frames` frames of driving."""
    speed = rng.uniform(8.0, 10.0)
    drive = speed * like.frames / FRAMES_PER_SECOND
    length = drive + rng.uniform(*VIEW)
    return StreetPlan(
        speed=speed,
        drive=drive,
        length=length,
        bend=like.curvature * (rng.uniform(-0.004, 0.004) if rng.random() < 0.6 else 0.0),
        camera_height=rng.uniform(1.2, 1.35),
        horizon=rng.uniform(0.44, 0.475),
        sway=tuple((rng.uniform(0.004, 0.014), rng.uniform(0.7, 1.8), rng.uniform(0.0, 2 * np.pi)) for _ in range(2)),
        base=Label.TERRAIN if rng.random() < 0.5 else Label.SIDEWALK,
        crossings=_crossings(rng, length),
        left=_side(rng, -1, like.buildings),
        right=_side(rng, 1, like.buildings),
    )


def _crossings(rng: np.random.Generator, length: float) -> tuple[tuple[float, float], ...]:
    found, along = [], rng.uniform(18.0, 130.0)
    while along < length - 30.0:
        found.append((along, along + rng.uniform(7.0, 13.0)))
        along += rng.uniform(60.0, 150.0)
    return tuple(found)


def _side(rng: np.random.Generator, sign: int, buildings: float) -> Side:
    shares = [0.75 * buildings, 0.25 * buildings, 1.0 - buildings]
    kind = str(rng.choice(["block", "houses", "park"], p=shares))
    parked = rng.uniform(0.2, 0.8) if rng.random() < 0.4 else 0.0
    kerb = rng.uniform(2.0, 3.0) + (PARKING if parked else 0.0) + (LANE if rng.random() < 0.25 else 0.0)
    kerb += LANE if sign < 0 else 0.0
    walk = kerb + (rng.uniform(1.0, 4.5) if rng.random() < 0.5 else 0.0)
    return Side(
        sign=sign,
        kind=kind,
        kerb=kerb,
        walk=walk,
        front=walk + rng.uniform(3.5, 8.0),
        parked=parked,
        tree_gap=rng.uniform(8.0, 20.0) if rng.random() < 0.55 else np.inf,
        tree_height=rng.uniform(5.0, 12.0),
        eaves=rng.uniform(14.0, 25.0) if kind == "block" else rng.uniform(6.5, 12.0),
    )
