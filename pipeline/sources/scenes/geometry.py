"""Depth of what each pixel shows, and where it was in the frame before: exactly, because the world is known.

A frame is painted once more with the number of each part in place of its label. What a part's pixels see of it is where
their rays first meet it: ground and outlines are planes, solids are convex hulls.
"""

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.sources.scenes.world import FAR, Camera, Part, Thing, World, base_row, fill, standing

CENTIMETRES = 100
SKY = 1e6  # metres: so far that only turning moves it
_TINY = 1e-9

Truth = tuple[NDArray[np.uint16], NDArray[np.float32], NDArray[np.bool_]]


def geometry(world: World, camera: Camera, before: Camera) -> Truth:
    """Computes depth in centimetres (H, W), 0 for the sky; backward flow (H, W, 2) in pixels (x, y); and where it is
    known (H, W).

    ``before``: the camera one frame earlier.
    """
    number_HW, painted = _numbered(world, camera)
    rows_P, columns_P = np.divmod(np.arange(number_HW.size), camera.width)
    rays_P3 = _rays(camera, rows_P, columns_P)
    depth_P = _ground(camera, rays_P3)
    depth_P[rows_P < base_row(camera)] = SKY
    motion_P3, sure_P = np.zeros((number_HW.size, 3)), np.ones(number_HW.size, np.bool_)
    order = np.argsort(number_HW.ravel(), kind="stable")
    numbers, first = np.unique(number_HW.ravel()[order], return_index=True)
    for number, pixels in zip(numbers.tolist(), np.split(order, first[1:]), strict=True):
        if number == 0:
            continue
        thing, part, is_ground = painted[number - 1]
        if not is_ground:
            place_3 = thing.place_at(camera.time)
            depth_P[pixels] = _met(camera.view(part.points_N3 + place_3), part.solid, rays_P3[pixels])
            motion_P3[pixels] = place_3 - thing.place_at(before.time)
            sure_P[pixels] = thing.pose_at(camera.time) == thing.pose_at(before.time)
    was_P2 = before.project(camera.street(rays_P3 * depth_P[:, None]) - motion_P3)
    flow_P2 = was_P2 - np.stack([columns_P, rows_P], axis=1)
    depth_P = np.where(depth_P < SKY, np.minimum(depth_P, FAR) * CENTIMETRES, 0)
    shape = number_HW.shape
    return (
        depth_P.round().astype(np.uint16).reshape(shape),
        flow_P2.astype(np.float32).reshape(*shape, 2),
        sure_P.reshape(shape),
    )


def _numbered(world: World, camera: Camera) -> tuple[NDArray[np.int32], list[tuple[Thing, Part, bool]]]:
    """Paints the number of the part that each pixel shows, from 1, 0 for the base and the sky; and lists the parts."""
    number_HW, painted = np.zeros((camera.rows, camera.width), np.int32), list[tuple[Thing, Part, bool]]()
    on_ground = len(world.ground)
    for i, thing in enumerate((*world.ground, *standing(world, camera))):
        for part, outline in thing.outlines(camera):
            painted.append((thing, part, i < on_ground))
            fill(number_HW, outline, len(painted))
    return number_HW, painted


def _rays(camera: Camera, rows_P: NDArray[np.int64], columns_P: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gives each pixel's ray as right, down and 1, per metre of depth, (P, 3)."""
    right_P, down_P = (columns_P - 0.5 * camera.width) / camera.focal, (rows_P - camera.horizon) / camera.focal
    return np.stack([right_P, down_P, np.ones(len(rows_P))], axis=1)


def _ground(camera: Camera, rays_P3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the depth at which rays meet the road's plane, (P,)."""
    return np.minimum(camera.height / np.maximum(rays_P3[:, 1], _TINY), FAR)


def _met(view_N3: NDArray[np.float64], solid: bool, rays_P3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the depth at which rays first meet a part, (P,); rays just beside it, as at its rim, get its nearest
    plane's."""
    least, most = view_N3[:, 2].min(), view_N3[:, 2].max()
    planes_F4 = _faces(view_N3) if solid else _plane(view_N3)
    facing_PF = rays_P3 @ planes_F4[:, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        depth_PF = -planes_F4[:, 3] / facing_PF
    # A ray enters a convex body where it has crossed the last of the faces that look towards the camera.
    entered_PF = np.where(facing_PF < -_TINY, depth_PF, -np.inf)
    return np.asarray(entered_PF.max(axis=1).clip(least, most))


def _faces(view_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the outward normals and offsets of a convex hull, (F, 4)."""
    from scipy.spatial import ConvexHull, QhullError  # slow to import, and most sources are files

    try:
        return np.asarray(ConvexHull(view_N3).equations)
    except QhullError:  # flat: pulled to one distance because it is beside the camera
        return _plane(view_N3)


def _plane(view_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fits the plane nearest to all points, facing the camera, (1, 4)."""
    middle_3 = view_N3.mean(axis=0)
    normal_3 = np.linalg.svd(view_N3 - middle_3, full_matrices=False)[2][-1]
    if normal_3 @ middle_3 > 0:
        normal_3 = -normal_3
    return np.append(normal_3, -normal_3 @ middle_3)[None]
