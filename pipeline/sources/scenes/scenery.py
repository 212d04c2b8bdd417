"""Everything that lines a street: ground, buildings, trees, hedges, fences, lamps, signs and lights, in metres."""

import numpy as np

from flowreel.pipeline.sources.scenes.world import Label, Part, Pose

Rng = np.random.Generator


def box(across: tuple[float, float], up: tuple[float, float], along: tuple[float, float]) -> np.ndarray:
    """Gives the corners of a box, (8, 3)."""
    return np.array([(x, y, z) for x in across for y in up for z in along], float)


def strip(label: Label, left_N: np.ndarray, right_N: np.ndarray, along_N: np.ndarray) -> Pose:
    """Makes a band of ground between two edges (metres across) along the street."""
    across_M = np.concatenate([left_N, right_N[::-1]])
    along_M = np.concatenate([along_N, along_N[::-1]])
    return Pose((Part(label, np.stack([across_M, np.zeros_like(across_M), along_M], axis=1)),))


def ragged(rng: Rng, count: int, size: float, smooth: int = 5) -> np.ndarray:
    """Samples irregular offsets of about +-`size` metres, (count,): a smoothed random line."""
    noise = rng.normal(size=count + smooth - 1)
    return np.convolve(noise, np.full(smooth, size / np.sqrt(smooth)), mode="valid")


def blob(rng: Rng, radius_x: float, radius_y: float, rough: float = 0.35, count: int = 60) -> np.ndarray:
    """Samples a closed leafy outline around (0, 0), (count, 2)."""
    turn_N = np.linspace(0, 2 * np.pi, count, endpoint=False)
    waves = range(2, 24, 2)
    phases, sizes = rng.uniform(0, 2 * np.pi, len(waves)), rng.uniform(0, rough, len(waves))
    radius_N = np.ones(count)
    for wave, phase, size in zip(waves, phases, sizes, strict=True):
        radius_N += 1.3 * size / wave**0.8 * np.cos(wave * turn_N + phase)
    return np.stack([radius_x * radius_N * np.cos(turn_N), radius_y * radius_N * np.sin(turn_N)], axis=1)


def upright(label: Label, outline_N2: np.ndarray) -> Part:
    """Makes an outline (across, up) that faces along the street."""
    return Part(label, np.pad(np.asarray(outline_N2, float), ((0, 0), (0, 1))))


def tree(rng: Rng, height: float) -> Pose:
    """Makes a tree: a leaning trunk under a crown of several overlapping blobs."""
    stem, lean = height * rng.uniform(0.25, 0.38), rng.normal(0, 0.25)
    thick = height * rng.uniform(0.010, 0.020)
    trunk = [(-thick, 0), (thick, 0), (lean + 0.7 * thick, 0.6 * height), (lean - 0.7 * thick, 0.6 * height)]
    parts = [upright(Label.VEGETATION, np.array(trunk))]
    rise, spread = 0.5 * (height - stem), height * rng.uniform(0.24, 0.36)
    parts.append(upright(Label.VEGETATION, blob(rng, spread, rise) + (lean, stem + rise)))
    for _ in range(int(rng.integers(3, 6))):
        turn = rng.uniform(0, 2 * np.pi)
        centre = (lean + 0.65 * spread * np.cos(turn), stem + rise * (1 + 0.6 * np.sin(turn)))
        parts.append(upright(Label.VEGETATION, blob(rng, 0.5 * spread, 0.42 * rise, 0.4, 30) + centre))
    return Pose(tuple(parts))


def bush(rng: Rng, height: float) -> Pose:
    """Makes a shrub that is about as wide as high."""
    outline = blob(rng, height * rng.uniform(0.5, 0.9), 0.6 * height, 0.35, 30) + (0, 0.45 * height)
    return Pose((upright(Label.VEGETATION, np.maximum(outline, (-np.inf, 0.0))),))


def panel(label: Label, across: float, along: tuple[float, float], top_N: np.ndarray) -> Pose:
    """Makes a thin upright surface along the street whose upper edge runs through the heights `top_N`."""
    along_N = np.linspace(*along, len(top_N))
    edge_N3 = np.stack([np.full(len(top_N), across), top_N, along_N], axis=1)
    foot_23 = [(across, 0, along[1]), (across, 0, along[0])]
    return Pose((Part(label, np.concatenate([edge_N3, foot_23])),))


def thicket(rng: Rng, across: float, along: tuple[float, float], height: float) -> Pose:
    """Makes a dense row of leaves along the street, from a clipped hedge (1 m) to the edge of a wood (12 m)."""
    count = max(8, int(along[1] - along[0]) * 3)
    along_N = np.linspace(*along, count)
    humps_N = np.abs(np.sin(along_N / (0.5 * height + 1.0) + rng.uniform(0, np.pi)))
    top_N = height * (0.78 + 0.22 * humps_N) + ragged(rng, count, 0.03 * height + 0.03, 3)
    return panel(Label.VEGETATION, across, along, top_N)


def building(rng: Rng, front: float, depth: float, along: tuple[float, float], height: float) -> Pose:
    """Makes a house whose front stands at `front` metres across and that reaches `depth` (signed) metres behind it."""
    sides = (front, front + depth)
    solids = [box(sides, (0, height), along)]
    kind, middle = rng.random(), 0.5 * (along[0] + along[1])
    rise = rng.uniform(1.5, 4.0)
    if kind < 0.4:  # ridge along the street
        ridge = [(front + 0.5 * depth, height + rise, z) for z in along]
        eaves = box((front - 0.03 * depth, sides[1]), (height, height + 0.1), along)
        solids.append(np.concatenate([eaves, ridge]))
    elif kind < 0.55:  # gable towards the street
        ridge = [(x, height + 1.4 * rise, middle) for x in sides]
        solids.append(np.concatenate([box(sides, (height, height + 0.1), along), ridge]))
    elif kind < 0.8:  # flat, with a set-back storey
        inset, trim = 0.12 * depth, 0.1 * (along[1] - along[0])
        upper = (along[0] + trim, along[1] - trim)
        solids.append(box((front + inset, sides[1]), (height, height + 0.7 * rise), upper))
    solids += _roof_details(rng, front, depth, along, height)
    return Pose(tuple(Part(Label.BUILDING, solid, solid=True) for solid in solids))


def _roof_details(rng: Rng, front: float, depth: float, along: tuple[float, float], height: float) -> list[np.ndarray]:
    """Gives the solids of chimneys, dormers and bays of a building."""
    solids = []
    for _ in range(int(rng.integers(0, 4))):
        place, wide = rng.uniform(along[0], along[1] - 1.0), rng.uniform(0.5, 2.0)
        back = front + depth * rng.uniform(0.0, 0.5)
        top = height + rng.uniform(0.8, 3.2)
        solids.append(
            box((back, back + np.sign(depth) * wide), (height - 0.5, top), (place, min(place + wide, along[1])))
        )
    if rng.random() < 0.4:
        place = rng.uniform(along[0], 0.5 * (along[0] + along[1]))
        out = front - np.sign(depth) * rng.uniform(0.4, 1.0)
        solids.append(
            box((out, front), (2.8, height - rng.uniform(0.5, 2.5)), (place, place + 0.3 * (along[1] - along[0])))
        )
    return solids


def _bar(start: tuple[float, float], end: tuple[float, float], thick: float) -> np.ndarray:
    """Gives a straight bar of `thick` metres between two points of the (across, up) plane, (4, 2)."""
    way = np.subtract(end, start)
    normal = 0.5 * thick * np.array([-way[1], way[0]]) / np.hypot(*way)
    return np.array([start + normal, end + normal, end - normal, start - normal])


def lamp(rng: Rng, side: float) -> Pose:
    """Makes a street lamp on the right (`side` 1) or left (-1) whose arm hangs over the road."""
    height, arm = rng.uniform(6.5, 9.5), -side * rng.uniform(0.8, 2.2)
    joints = [(0.0, height - 0.7), (0.35 * arm, height - 0.15), (arm, height)]
    bars = [_bar((0, 0), (0, height - 0.7), 0.2), _bar(joints[0], joints[1], 0.14), _bar(joints[1], joints[2], 0.13)]
    bars.append(_bar(joints[2], (1.35 * arm, height - 0.05), 0.28))
    return Pose(tuple(upright(Label.POLE, bar) for bar in bars))


def post(rng: Rng) -> Pose:
    """Makes a bollard, a plain mast or an advertising column."""
    height, thick = [(0.95, 0.14), (5.5, 0.16), (8.5, 0.24), (3.0, 0.7)][int(rng.choice(4, p=[0.5, 0.25, 0.2, 0.05]))]
    return Pose((upright(Label.POLE, _bar((0, 0), (rng.normal(0, 0.03), height), thick)),))


def sign(rng: Rng) -> Pose:
    """Makes a traffic sign on its pole: round, triangular, square, a stack of two, or a direction board."""
    kind, mast = int(rng.choice(5, p=[0.3, 0.2, 0.27, 0.15, 0.08])), rng.uniform(2.2, 2.9)
    turn_N = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    disc = 0.36 * np.stack([np.cos(turn_N), np.sin(turn_N)], axis=1)
    triangle = np.array([(-0.45, 0.35), (0.45, 0.35), (0.0, -0.42)]) * (1, rng.choice([-1.0, 1.0]))
    square = np.array([(-0.33, -0.33), (0.33, -0.33), (0.33, 0.33), (-0.33, 0.33)])
    board = square * (rng.uniform(2.5, 4.0), rng.uniform(1.8, 3.0)) + (0, 1.2)
    plates = [[disc], [triangle], [square], [disc, square * (1, 0.6) - (0, 0.6)], [board]][kind]
    parts = [upright(Label.POLE, _bar((0, 0), (0, mast), 0.1 if kind < 4 else 0.2))]
    return Pose((*parts, *(upright(Label.TRAFFIC_SIGN, plate + (0, mast)) for plate in plates)))


def traffic_light(rng: Rng, side: float) -> Pose:
    """Makes a traffic light beside the road; about every other one has a second light on an arm over the road."""
    lamp_box = np.array(
        [(-0.17, 0.0), (0.17, 0.0), (0.2, 0.25), (0.2, 0.95), (0.12, 1.05), (-0.12, 1.05), (-0.2, 0.95)]
    )
    parts = [upright(Label.POLE, _bar((0, 0), (0, 3.3), 0.15)), upright(Label.TRAFFIC_LIGHT, lamp_box + (0, 2.2))]
    if rng.random() < 0.5:
        arm = -side * rng.uniform(2.5, 4.5)
        bars = [
            _bar((0, 3.2), (0, 5.2), 0.15),
            _bar((0, 5.2), (0.25 * arm, 5.8), 0.14),
            _bar((0.25 * arm, 5.8), (arm, 5.9), 0.12),
        ]
        parts = [*(upright(Label.POLE, bar) for bar in bars), *parts]
        parts.append(upright(Label.TRAFFIC_LIGHT, lamp_box + (arm, 5.0)))
    return Pose(tuple(parts))
