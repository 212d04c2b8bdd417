"""Vehicles and people as convex bodies around (0, 0, 0) on the ground, in metres, facing along the street."""

import numpy as np

from flowreel.pipeline.sources.scenes.world import Label, Part, Pose

GAIT_POSES = 8

# Outlines of a vehicle, from the ground up: (height, half width, rear end, front end).
Rings = tuple[tuple[float, float, float, float], ...]
CAR_SHAPES: tuple[tuple[Rings, Rings], ...] = (
    (  # saloon
        ((0.17, 0.80, -2.05, 2.10), (0.55, 0.90, -2.25, 2.25), (0.92, 0.83, -2.20, 1.60)),
        ((0.88, 0.82, -1.75, 1.05), (1.36, 0.62, -1.15, 0.20), (1.45, 0.48, -0.95, -0.05)),
    ),
    (  # hatchback
        ((0.17, 0.78, -1.85, 1.80), (0.58, 0.87, -2.00, 1.95), (0.95, 0.82, -1.98, 1.35)),
        ((0.90, 0.81, -1.95, 0.95), (1.40, 0.64, -1.65, 0.15), (1.50, 0.50, -1.40, -0.10)),
    ),
    (  # estate
        ((0.17, 0.80, -2.15, 2.10), (0.58, 0.90, -2.30, 2.25), (0.95, 0.84, -2.28, 1.55)),
        ((0.90, 0.83, -2.25, 1.05), (1.40, 0.66, -2.00, 0.25), (1.49, 0.54, -1.80, 0.00)),
    ),
    (  # off-roader
        ((0.24, 0.85, -2.05, 2.05), (0.75, 0.94, -2.20, 2.20), (1.12, 0.88, -2.18, 1.60)),
        ((1.05, 0.86, -2.15, 1.05), (1.60, 0.70, -1.95, 0.35), (1.72, 0.58, -1.75, 0.10)),
    ),
    (  # van
        ((0.22, 0.92, -2.50, 2.40), (0.80, 0.99, -2.60, 2.55), (1.20, 0.97, -2.60, 2.10)),
        ((1.10, 0.96, -2.60, 1.95), (1.85, 0.88, -2.55, 1.25), (2.10, 0.76, -2.45, 0.80)),
    ),
)
TRUCK_SHAPE: tuple[Rings, Rings] = (
    ((0.45, 1.10, -3.60, 3.70), (1.00, 1.15, -3.60, 3.75), (2.45, 1.08, 1.80, 3.50)),
    ((0.95, 1.24, -3.80, 1.60), (3.30, 1.24, -3.80, 1.60), (3.38, 1.18, -3.70, 1.50)),
)
BUS_SHAPE: tuple[Rings, Rings] = (
    ((0.35, 1.20, -5.90, 5.90), (1.20, 1.27, -6.00, 6.00), (1.60, 1.27, -6.00, 5.95)),
    ((1.50, 1.27, -6.00, 5.95), (2.85, 1.22, -5.95, 5.75), (3.05, 1.05, -5.80, 5.50)),
)


def car(rng: np.random.Generator, van_share: float = 0.12) -> Pose:
    """Makes a passenger car or van of a random make, seen from any side."""
    index = 4 if rng.random() < van_share else int(rng.integers(4))
    stretch_3 = np.array([rng.uniform(0.95, 1.06), rng.uniform(0.95, 1.07), rng.uniform(0.92, 1.05)])
    return _vehicle(Label.CAR, CAR_SHAPES[index], 0.32, stretch_3)


def truck() -> Pose:
    """Makes a truck."""
    return _vehicle(Label.TRUCK, TRUCK_SHAPE, 0.48, np.ones(3))


def bus() -> Pose:
    """Makes a bus."""
    return _vehicle(Label.BUS, BUS_SHAPE, 0.48, np.ones(3))


def _vehicle(label: Label, shape: tuple[Rings, Rings], wheel: float, stretch_3: np.ndarray) -> Pose:
    body, cabin = (np.concatenate([_ring(*ring) for ring in rings]) for rings in shape)
    (belt, half, _, nose), (_, sill, _, _) = shape[1][0], shape[0][0]
    rear, front = shape[0][0][2] * 0.66, shape[0][0][3] * 0.66
    solids = [body, cabin]
    for x in (sill - 0.11, 0.11 - sill):
        solids += [_wheel(x, z, wheel) for z in (rear, front)]
        outer = np.sign(x) * (half + 0.1)
        solids.append(_ball((outer, belt + 0.12, nose - 0.35), (0.12, 0.09, 0.06)))
    return Pose(tuple(Part(label, points * stretch_3, solid=True) for points in solids))


def _ring(height: float, half: float, rear: float, front: float) -> np.ndarray:
    """Gives the corners of a level rectangle whose corners are cut off, (8, 3)."""
    cut = 0.25 * half
    flat_82 = [(half, rear + cut), (half, front - 1.6 * cut), (half - cut, front), (cut - half, front)]
    flat_82 += [(-half, front - 1.6 * cut), (-half, rear + cut), (cut - half, rear), (half - cut, rear)]
    return np.array([(x, height, z) for x, z in flat_82])


def _wheel(x: float, z: float, radius: float) -> np.ndarray:
    angles_N = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    rim_N3 = np.stack([0 * angles_N, radius * (1 + np.sin(angles_N)), radius * np.cos(angles_N)], axis=1)
    return np.concatenate([rim_N3 + (x - 0.1, 0, z), rim_N3 + (x + 0.1, 0, z)])


def _ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    """Gives points on an ellipsoid: three rings and the poles, (20, 3)."""
    turn_6 = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    rings = [
        np.stack([np.cos(turn_6) * np.cos(lat), np.full(6, np.sin(lat)), np.sin(turn_6) * np.cos(lat)], axis=1)
        for lat in (-0.75, 0.0, 0.75)
    ]
    return np.concatenate([*rings, [[0, 1, 0], [0, -1, 0]]]) * radii + centre


def _limb(start: tuple[float, float, float], end: tuple[float, float, float], thick: float) -> np.ndarray:
    """Gives a tapered limb between two joints, (12, 3)."""
    knob_N3 = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], float)
    return np.concatenate([np.add(start, thick * knob_N3), np.add(end, 0.75 * thick * knob_N3)])


def person(rng: np.random.Generator) -> tuple[Pose, ...]:
    """Makes a walking person of 1.55 to 1.9 m: the poses of one double step."""
    scale_3 = np.array([rng.uniform(0.95, 1.25), rng.uniform(0.9, 1.08), 1.0])
    coat, bag = rng.uniform(0.0, 0.12), bool(rng.random() < 0.4)
    poses = (_walking(phase, coat, bag) for phase in np.linspace(0, 2 * np.pi, GAIT_POSES, endpoint=False))
    return tuple(Pose(tuple(Part(Label.PERSON, solid * scale_3, solid=True) for solid in pose)) for pose in poses)


def _walking(phase: float, coat: float, bag: bool) -> list[np.ndarray]:
    swing = np.sin(phase)
    solids = [
        _ball((0, 1.63, 0.02), (0.1, 0.13, 0.11)),
        np.concatenate([_ball((0, 1.38, 0), (0.22, 0.1, 0.13)), _ball((0, 0.95 - coat, 0), (0.19, 0.12, 0.14))]),
    ]
    for side in (-1.0, 1.0):
        step = side * swing
        lift = max(0.0, side * np.cos(phase)) * 0.12
        knee, heel = (side * 0.1, 0.5 + 0.5 * lift, 0.2 * step + 0.05), (side * 0.1, 0.08 + lift, 0.38 * step - lift)
        hand = (side * 0.28, 0.8, -0.25 * step)
        solids += [_limb((side * 0.1, 0.93, 0), knee, 0.095), _limb(knee, heel, 0.075)]
        solids += [
            _limb((side * 0.21, 1.4, 0), hand, 0.06),
            _ball((side * 0.1, heel[1] - 0.03, heel[2] + 0.08), (0.05, 0.05, 0.13)),
        ]
    if bag:
        solids.append(_ball((0.3, 0.85, 0.0), (0.1, 0.2, 0.18)))
    return solids


def bicycle() -> Pose:
    """Makes a bicycle: two wheels, frame, saddle and handlebar."""
    solids = [_wheel(0, z, 0.34) * (0.25, 1, 1) for z in (-0.52, 0.52)]
    solids += [_limb((0, 0.4, -0.5), (0, 0.85, 0.35), 0.05), _limb((0, 0.3, -0.05), (0, 0.92, -0.2), 0.05)]
    solids += [_limb((0, 0.34, 0.52), (0, 1.02, 0.38), 0.04), _limb((-0.27, 1.02, 0.35), (0.27, 1.02, 0.35), 0.04)]
    return Pose(tuple(Part(Label.BICYCLE, solid, solid=True) for solid in solids))


def rider() -> tuple[Pose, ...]:
    """Makes a person who pedals a `bicycle`: the poses of one turn."""
    return tuple(Pose(tuple(_riding(phase))) for phase in np.linspace(0, 2 * np.pi, GAIT_POSES, endpoint=False))


def _riding(phase: float) -> list[Part]:
    solids = [
        _ball((0, 1.67, 0.14), (0.1, 0.13, 0.11)),
        np.concatenate([_ball((0, 1.4, 0.08), (0.21, 0.1, 0.13)), _ball((0, 1.0, -0.16), (0.18, 0.12, 0.15))]),
    ]
    for side in (-1.0, 1.0):
        foot = (side * 0.12, 0.32 + side * 0.16 * np.sin(phase), side * 0.16 * np.cos(phase))
        knee = (side * 0.13, 0.5 * (foot[1] + 0.95) + 0.05, 0.28)
        solids += [_limb((side * 0.1, 0.95, -0.15), knee, 0.1), _limb(knee, foot, 0.08)]
        solids.append(_limb((side * 0.2, 1.4, 0.08), (side * 0.24, 1.04, 0.36), 0.06))
    return [Part(Label.RIDER, solid, solid=True) for solid in solids]


def turned(pose: Pose, angle: float) -> Pose:
    """Turns a pose around the upright axis by `angle` radians, to the right."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn_33 = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return Pose(tuple(Part(part.label, part.points_N3 @ turn_33, part.solid) for part in pose.parts))
