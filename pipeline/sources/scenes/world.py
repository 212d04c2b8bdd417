"""The world of a street scene: a pinhole camera, things made of projected outlines, and the painter.

Points are (across, up, along) in metres: `across` to the right of the camera's lane, `up` from the road, `along` the
street. A bend of the street is part of the projection, so that the layout can stay straight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np

NEAR = 1.0  # metres; what lies nearer is pulled to this distance, which is outside the picture for all on the ground
FAR = 330.0  # metres
SUBPIXEL_BITS = 4
MAX_PIXEL = 30_000.0  # keeps fixed-point coordinates in range
MIN_VISIBLE = 0.8  # pixels of height below which a thing is left out


class Label(IntEnum):
    """The Cityscapes label ids that a street scene uses."""

    ROAD = 7
    SIDEWALK = 8
    BUILDING = 11
    WALL = 12
    FENCE = 13
    POLE = 17
    TRAFFIC_LIGHT = 19
    TRAFFIC_SIGN = 20
    VEGETATION = 21
    TERRAIN = 22
    SKY = 23
    PERSON = 24
    RIDER = 25
    CAR = 26
    TRUCK = 27
    BUS = 28
    BICYCLE = 33


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at one moment: place in metres, angles in radians, picture measures in pixels."""

    time: float  # seconds
    along: float
    across: float
    height: float
    yaw: float
    bend: float  # curvature of the street, 1/m, to the right
    focal: float
    horizon: float
    width: int
    rows: int

    def view(self, points_N3: np.ndarray) -> np.ndarray:
        """Transforms street points to the camera's view, (N, 3): right, down, and depth along its axis; metres."""
        ahead_N = np.maximum(points_N3[:, 2] - self.along, NEAR)
        right_N = points_N3[:, 0] - self.across + 0.5 * self.bend * ahead_N * ahead_N
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        depth_N = np.maximum(ahead_N * cos + right_N * sin, NEAR)
        return np.stack([right_N * cos - ahead_N * sin, self.height - points_N3[:, 1], depth_N], axis=1)

    def street(self, view_N3: np.ndarray) -> np.ndarray:
        """Transforms points of the camera's view back to the street: the inverse of `view`."""
        right_N, down_N, depth_N = view_N3.T
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        ahead_N = depth_N * cos - right_N * sin
        across_N = depth_N * sin + right_N * cos + self.across - 0.5 * self.bend * ahead_N * ahead_N
        return np.stack([across_N, self.height - down_N, ahead_N + self.along], axis=1)

    def project(self, points_N3: np.ndarray) -> np.ndarray:
        """Projects street points to float (N, 2) pixels (x, y), clipped to what a fixed-point polygon can hold."""
        view_N3 = self.view(points_N3)
        scale_N = self.focal / view_N3[:, 2]
        x_N = 0.5 * self.width + scale_N * view_N3[:, 0]
        y_N = self.horizon + scale_N * view_N3[:, 1]
        return np.stack([x_N, y_N], axis=1).clip(-MAX_PIXEL, MAX_PIXEL)


@dataclass(frozen=True)
class Part:
    """An outline in metres, (N, 3): a polygon as it stands, or, if `solid`, the corners of a convex body."""

    label: Label
    points_N3: np.ndarray
    solid: bool = False


@dataclass(frozen=True)
class Pose:
    """The parts of a thing at one moment, painted in order."""

    parts: tuple[Part, ...]

    @cached_property
    def points_N3(self) -> np.ndarray:
        """Gathers the points of all parts, (N, 3)."""
        return np.concatenate([part.points_N3 for part in self.parts])

    @cached_property
    def top(self) -> float:
        """Gives the height of its highest point, in metres."""
        return float(self.points_N3[:, 1].max())

    @cached_property
    def reach(self) -> float:
        """Gives how far along the street it reaches from its place, in metres."""
        return float(self.points_N3[:, 2].max())


@dataclass(frozen=True)
class Thing:
    """Something in the street: poses that it cycles through, its place and its speed (across, up, along)."""

    poses: tuple[Pose, ...]
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    instance: int = 0
    poses_per_second: float = 0.0

    def far_end(self, time: float) -> float:
        """Gives how far along the street it reaches, in metres, by which the painter sorts."""
        return self.place[2] + self.velocity[2] * time + self.poses[0].reach

    def pose_at(self, time: float) -> int:
        """Gives the index of its pose at a time in seconds."""
        return int(time * self.poses_per_second) % len(self.poses)

    def place_at(self, time: float) -> np.ndarray:
        """Gives its place at a time in seconds: (across, up, along) in metres."""
        return np.add(self.place, np.multiply(self.velocity, time))

    def outlines(self, camera: Camera) -> Iterator[tuple[Part, np.ndarray]]:
        """Yields its parts in painting order, with their polygons in fixed-point pixels; none if it is out of sight."""
        pose = self.poses[self.pose_at(camera.time)]
        pixels_N2 = camera.project(pose.points_N3 + self.place_at(camera.time))
        if pixels_N2[:, 0].max() < 0 or pixels_N2[:, 0].min() > camera.width:
            return
        fixed_N2 = np.rint(pixels_N2 * (1 << SUBPIXEL_BITS)).astype(np.int32)
        start = 0
        for part in pose.parts:
            outline_N2 = fixed_N2[start : start + len(part.points_N3)]
            start += len(outline_N2)
            yield part, cv2.convexHull(outline_N2) if part.solid else outline_N2


class World(Protocol):
    """A world that can be painted: ground in painting order, and the things that stand on it."""

    @property
    def base(self) -> Label: ...

    @property
    def ground(self) -> Sequence[Thing]: ...

    @property
    def things(self) -> Sequence[Thing]: ...


def paint_frame(world: World, camera: Camera) -> np.ndarray:
    """Paints one frame: int32 (H, W) of label + 256 * instance, from far to near."""
    codes_HW = np.full((camera.rows, camera.width), int(Label.SKY), np.int32)
    codes_HW[base_row(camera) :] = int(world.base)
    for thing in (*world.ground, *standing(world, camera)):
        for part, outline in thing.outlines(camera):
            fill(codes_HW, outline, int(part.label) + 256 * thing.instance)
    return codes_HW


def base_row(camera: Camera) -> int:
    """Gives the first row below the horizon."""
    return max(0, int(np.ceil(camera.horizon)))


def fill(canvas_HW: np.ndarray, outline: np.ndarray, value: int) -> None:
    """Fills a polygon, as `Thing.outlines` gives it, with a value."""
    cv2.fillPoly(canvas_HW, [outline], value, shift=SUBPIXEL_BITS)


def standing(world: World, camera: Camera) -> list[Thing]:
    """Lists the things that may be in sight, from far to near."""
    visible: list[tuple[float, Thing]] = []
    for thing in world.things:
        ahead = thing.far_end(camera.time) - camera.along
        if NEAR < ahead < FAR and thing.poses[0].top * camera.focal >= MIN_VISIBLE * ahead:
            visible.append((ahead, thing))
    return [thing for _, thing in sorted(visible, key=lambda item: -item[0])]
