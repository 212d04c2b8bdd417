"""A street as a world of things: its plan furnished with ground, buildings, plants, traffic and people."""

from collections.abc import Iterator

import numpy as np

from flowreel.pipeline.sources.scenes import bodies, scenery
from flowreel.pipeline.sources.scenes.rare_events import rare_events
from flowreel.pipeline.sources.scenes.street_plan import BEHIND, LANE, PARKING, Side, draw_plan
from flowreel.pipeline.sources.scenes.world import Camera, Label, Pose, Thing
from flowreel.schemas.source_kinds import ProceduralSpec

Poses = tuple[Pose, ...]
VEHICLE_GAP = 13.0  # metres from one vehicle to the next in a lane, at least: a bus and room to stop


class Street:
    """A world for `paint_frame` (`base`, `ground`, `things`), and the camera of every frame."""

    def __init__(self, rng: np.random.Generator, like: ProceduralSpec) -> None:
        """Samples in a fixed order: with densities of 1 and no rare events the same ``rng`` gives the same street,
        whatever options are added."""
        self.rng, self.like = rng, like
        self.plan = draw_plan(rng, like)
        self.base = self.plan.base
        self.ground: list[Thing] = []
        self.things: list[Thing] = []
        self.instances = 0
        self._backdrop()
        for side in (self.plan.left, self.plan.right):
            self._lay_ground(side)
            self._frontage(side)
            self._plants(side)
            self._furniture(side)
            self._parked(side)
            self._people(side)
        for start, end in self.plan.crossings:
            self._crossing(start, end)
        self._traffic()
        self._cyclists()
        for placement in rare_events(self.plan, like.rare, rng):
            self.add_instance(*placement)

    def camera(self, frame: int, width: int, rows: int) -> Camera:
        """Gives the camera at `frame`, for a picture of width x rows pixels."""
        return self.plan.camera(frame, width, rows)

    def add(self, pose: Pose, across: float = 0.0, along: float = 0.0) -> None:
        """Places stuff: it stands still and is no instance."""
        self.things.append(Thing((pose,), (across, 0.0, along)))

    def add_instance(
        self, poses: Poses, across: float, along: float, speed: float = 0.0, pace: float = 0.0, drift: float = 0.0
    ) -> None:
        """Places an instance that moves along the street at `speed` m/s and across it, to the right, at `drift` m/s,
        through its poses `pace` times a second."""
        self.instances += 1
        place, velocity = (across, 0.0, along), (drift, 0.0, speed)
        self.things.append(Thing(poses, place, velocity, self.instances, pace * len(poses)))

    def _places(self, gap: float, margin: float = 0.0) -> Iterator[float]:
        """Yields irregular places along the street about `gap` metres apart, `margin` metres clear of crossings."""
        along = BEHIND + self.rng.uniform() * gap
        while along < self.plan.length:
            if not any(start - margin < along < end + margin for start, end in self.plan.crossings):
                yield along
            along += gap * self.rng.uniform(0.7, 1.3)

    def _backdrop(self) -> None:
        """Closes the view with houses and trees across the far end and behind the gaps of the frontages."""
        end = self.plan.length
        for across in np.arange(-150.0, 150.0, 16.0):
            along = end + self.rng.uniform(0.0, 25.0)
            height = self.rng.uniform(10.0, 28.0)
            self.add(scenery.building(self.rng, across, 15.0, (along, along + 12.0), height))
            if self.rng.random() < 0.7:
                self.add(scenery.tree(self.rng, self.rng.uniform(8.0, 16.0)), across, end - 5.0)
        for side in (self.plan.left, self.plan.right):
            for along in self._places(18.0, 6.0):
                across = side.sign * (side.front + self.rng.uniform(22.0, 45.0))
                if self.rng.random() < 0.35:
                    self.add(scenery.tree(self.rng, self.rng.uniform(8.0, 15.0)), across, along)
                else:
                    size = self.rng.uniform(10.0, 20.0)
                    self.add(scenery.building(self.rng, across, side.sign * 14.0, (along, along + 16.0), size))

    def _lay_ground(self, side: Side) -> None:
        along_N = np.arange(BEHIND, self.plan.length + 60.0, 2.0)
        ones_N = np.ones_like(along_N)
        bands = [(Label.SIDEWALK, side.walk, side.front, 0.04), (Label.ROAD, 0.0, side.kerb, 0.0)]
        if side.kind != "block":
            bands.insert(0, (Label.TERRAIN, side.front, side.front + 30.0, 0.12))
        if side.walk > side.kerb:
            bands.insert(0, (Label.TERRAIN, side.kerb, side.walk + 0.3, 0.0))
        for label, inner, outer, rough in bands:
            edges = [side.sign * (at * ones_N + scenery.ragged(self.rng, len(along_N), rough)) for at in (inner, outer)]
            self.ground.append(Thing((scenery.strip(label, edges[0], edges[1], along_N),)))

    def _crossing(self, start: float, end: float) -> None:
        wide_2 = np.array([90.0, 90.0])
        pose = scenery.strip(Label.ROAD, -wide_2, wide_2, np.array([start, end]))
        self.ground.append(Thing((pose,)))
        lights = self.rng.random() < 0.6
        for side in (self.plan.left, self.plan.right):
            corner = side.sign * (side.kerb + 0.7)
            if lights:
                self.add(scenery.traffic_light(self.rng, side.sign), corner, start - 1.5)
                self.add(scenery.traffic_light(self.rng, side.sign), corner, end + 1.0)
            elif self.rng.random() < 0.8:
                self.add(scenery.sign(self.rng), corner, start - 1.5)
            if self.rng.random() < 0.6 * self.like.traffic:
                waiting = bodies.turned(bodies.car(self.rng), -side.sign * 0.5 * np.pi)
                lane = 0.25 if side.sign < 0 else 0.75
                self.add_instance((waiting,), side.sign * (side.front + 4.0), start + lane * (end - start))

    def _frontage(self, side: Side) -> None:
        """Fills plot after plot with what stands behind the sidewalk."""
        along = BEHIND
        ends = [*self.plan.crossings, (self.plan.length, self.plan.length)]
        for start, end in ends:
            while along < start - 5.0:
                stop = min(along + self.rng.uniform(9.0, 22.0), start - 2.5)
                self._plot(side, along, stop)
                gap = 0.0 if side.kind == "block" and self.rng.random() < 0.8 else self.rng.uniform(1.0, 7.0)
                if gap > 2.0:
                    self._boundary(side, stop, stop + gap)
                along = stop + gap
            along = end + 2.5

    def _plot(self, side: Side, start: float, stop: float) -> None:
        rng, sign = self.rng, side.sign
        if side.kind == "park":
            self._green(side, start, stop)
            return
        height = side.eaves * rng.uniform(0.75, 1.2)
        garden = rng.uniform(3.0, 7.0) if side.kind == "houses" else rng.choice([0.0, 0.6])
        if side.kind == "houses" and rng.random() < 0.2:
            self._green(side, start, stop)
        else:
            self.add(scenery.building(rng, sign * (side.front + garden), sign * 13.0, (start, stop), height))
        if garden > 1.0:
            self._boundary(side, start, stop)
            for _ in range(int(rng.integers(0, 3))):
                across = side.front + rng.uniform(0.8, garden)
                self.add(scenery.bush(rng, rng.uniform(1.0, 3.0)), sign * across, rng.uniform(start, stop))

    def _boundary(self, side: Side, start: float, stop: float) -> None:
        """Places a hedge, a fence or a wall along the sidewalk."""
        rng, across = self.rng, side.sign * (side.front + 0.1)
        kind, height = rng.random(), rng.uniform(0.8, 2.2)
        if kind < 0.3:
            self.add(scenery.thicket(rng, across, (start, stop), height))
        elif kind < 0.9:
            label = Label.FENCE if kind < 0.7 else Label.WALL
            self.add(scenery.panel(label, across, (start, stop), np.full(2, height)))

    def _green(self, side: Side, start: float, stop: float) -> None:
        """Places a lawn, at times a boundary, and trees or the edge of a wood behind."""
        rng, sign = self.rng, side.sign
        if rng.random() < 0.6:
            self._boundary(side, start, stop)
        if rng.random() < 0.6:
            height = rng.uniform(3.0, 11.0)
            self.add(scenery.thicket(rng, sign * (side.front + rng.uniform(4.0, 9.0)), (start, stop), height))
        for _ in range(int(rng.integers(1, 4))):
            across = sign * (side.front + rng.uniform(2.0, 10.0))
            self.add(scenery.tree(rng, rng.uniform(6.0, 14.0)), across, rng.uniform(start, stop))

    def _plants(self, side: Side) -> None:
        if np.isfinite(side.tree_gap):
            for along in self._places(side.tree_gap, 3.0):
                height = side.tree_height * self.rng.uniform(0.75, 1.25)
                self.add(scenery.tree(self.rng, height), side.sign * (side.walk + 0.6), along)

    def _furniture(self, side: Side) -> None:
        edge = side.sign * (side.kerb + 0.5)
        lamp_gap = self.rng.uniform(25.0, 42.0) if self.rng.random() < 0.65 else np.inf
        for along in self._places(lamp_gap, 2.0):
            self.add(scenery.lamp(self.rng, side.sign), edge, along)
        if self.rng.random() < 0.2:
            for along in self._places(6.0, 5.0):
                self.add(scenery.panel(Label.FENCE, edge, (along, along + 4.5), np.full(2, 0.95)))
        for along in self._places(self.rng.uniform(16.0, 45.0)):
            self.add(scenery.sign(self.rng), edge, along)
        for along in self._places(self.rng.uniform(20.0, 80.0)):
            self.add(scenery.post(self.rng), edge, along)

    def _parked(self, side: Side) -> None:
        across = side.sign * (side.kerb - 1.0)
        for along in self._places(6.2, 4.0) if side.parked else ():
            if self.rng.random() < side.parked * self.like.traffic:
                pose = bodies.car(self.rng)
                self.add_instance((bodies.turned(pose, np.pi) if side.sign < 0 else pose,), across, along)

    def _people(self, side: Side) -> None:
        for along in self._places(_gap(self.rng.uniform(20.0, 80.0), self.like.pedestrians)):
            poses, speed = bodies.person(self.rng), self.rng.uniform(1.0, 1.6) * self.rng.choice([-1.0, 1.0])
            if speed < 0:
                poses = tuple(bodies.turned(pose, np.pi) for pose in poses)
            across = side.sign * self.rng.uniform(side.walk + 0.4, side.front - 0.3)
            self.add_instance(poses, across, along, speed, pace=0.9)
        for along in self._places(_gap(40.0, self.like.cyclists)):
            bicycle = bodies.turned(bodies.bicycle(), self.rng.uniform(0.0, np.pi))
            self.add_instance((bicycle,), side.sign * (side.front - 0.5), along)

    def vehicle(self) -> Pose:
        """Samples a bus, a truck or a car."""
        kind = self.rng.random()
        return bodies.bus() if kind < 0.015 else bodies.truck() if kind < 0.03 else bodies.car(self.rng)

    def _traffic(self) -> None:
        """Places cars ahead at the camera's own speed, and oncoming ones in the lanes to the left."""
        plan, rng = self.plan, self.rng
        lanes = [0.0] + ([LANE] if plan.right.kerb - (PARKING if plan.right.parked else 0.0) > 1.7 * LANE else [])
        for across in lanes:
            along = rng.uniform(13.0, 70.0) if self.like.traffic else np.inf
            while along < plan.length - plan.drive - 8.0 and rng.random() < 0.85:
                self.add_instance((self.vehicle(),), across + rng.normal(0.0, 0.15), along, plan.speed)
                along += max(VEHICLE_GAP, _gap(rng.uniform(13.0, 60.0), self.like.traffic))
        free = plan.left.kerb - (PARKING if plan.left.parked else 0.0)
        for lane in range(1, int((free - 1.4) // LANE) + 1):
            speed, along = -rng.uniform(7.0, 11.0), rng.uniform(10.0, 90.0) if self.like.traffic else np.inf
            while along < plan.length:
                pose = bodies.turned(self.vehicle(), np.pi)
                self.add_instance((pose,), -LANE * lane + rng.normal(0.0, 0.15), along, speed)
                along += max(VEHICLE_GAP, _gap(rng.uniform(20.0, 110.0), self.like.traffic))

    def _cyclists(self) -> None:
        for along in self._places(_gap(110.0, self.like.cyclists)):
            across = self.plan.right.kerb + 0.8
            self.add_instance((bodies.bicycle(),), across, along, 4.0)
            self.add_instance(bodies.rider(), across, along - 0.55, 4.0, pace=1.1)


def _gap(usual: float, density: float) -> float:
    """Gives the metres from one to the next; infinite for none."""
    return usual / density if density else np.inf
