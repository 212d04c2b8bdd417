"""Moves a camera over a still: a short clip whose backward flow is known exactly.

The still is taken apart into layers, which are the things nearest to the camera and all the rest behind them. Each
layer is panned and zoomed as a plane, nearer ones faster, so that they cover and uncover what is behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flowreel.pipeline.generator.warp import warp
from flowreel.pipeline.optical_flow import Flow
from flowreel.pipeline.training.data.frame_data import FrameData

SHARES = 7  # uniform numbers that a path is made of
MOST_LAYERS = 8  # with the background
LEAST_AREA = 0.002  # share of the still, of a thing with a layer of its own


@dataclass(frozen=True)
class Camera:
    """A path over a still at constant speed. What is seen of the still is a window of its shape."""

    zoom: float  # width of the window at first, as a share of the still's, in (0, 1]
    rate: float  # factor of that per frame
    start: tuple[float, float]  # middle of the window at first, x and y in [-1, 1] of the still
    speed: tuple[float, float]  # of that per frame
    parallax: float  # how much faster than the background the nearest things move

    @classmethod
    def drawn(cls, shares: Sequence[float]) -> Self:
        """Makes a path of ``SHARES`` uniform numbers in [0, 1): some pixels per frame, forwards more than back."""
        zoom, rate, x, y, right, down, parallax = shares
        zoom, room = 0.75 + 0.2 * zoom, 0.25 - 0.2 * zoom
        start = ((2 * x - 1) * room, (2 * y - 1) * room)
        return cls(zoom, 1 - 0.05 * (rate - 0.4), start, (0.06 * (right - 0.5), 0.02 * (down - 0.5)), 2 * parallax)

    def window(self, time: int, nearness: float) -> tuple[float, float, float]:
        """Gives width and middle (x, y) of the window on a layer; ``nearness``: 0 of the background, 1 of what is
        nearest. The background's stays in the still."""
        gone = time * (1 + self.parallax * nearness)
        zoom = self.zoom * self.rate**gone
        x, y = (at + speed * gone for at, speed in zip(self.start, self.speed, strict=True))
        if nearness:
            return zoom, x, y
        zoom = min(zoom, 1.0)
        return zoom, *(min(max(at, zoom - 1), 1 - zoom) for at in (x, y))


@dataclass(frozen=True)
class Footage:
    """Consecutive frames and the backward flow between them; the first one has none."""

    frames: list[FrameData]
    flow_THW2: NDArray[np.float32]
    sure_THW: NDArray[np.bool_]


@dataclass(frozen=True)
class _Layer:
    mask_HW: NDArray[np.bool_]
    nearness: float


@dataclass(frozen=True)
class _Shot:
    """Where each pixel of a frame lies in the still."""

    layer_HW: NDArray[np.intp]
    place_HW2: NDArray[np.float64]  # x, y
    zoom_K: NDArray[np.float64]  # per layer: a pixel p of the frame lies at zoom * p + shift
    shift_K2: NDArray[np.float64]


def moved(still: FrameData, camera: Camera, times: Sequence[int], things: frozenset[int]) -> Footage:
    """Shows the still as the camera sees it at ``times``. ``things``: classes that may come between it and the rest."""
    layers = _layers(still, things)
    shots = {time: _shot(still.label_HW.shape, camera, time, layers) for time in times}
    seen = {time: _seen(still, shot) for time, shot in shots.items()}
    h, w = still.label_HW.shape
    nothing: Flow = (np.zeros((h, w, 2), np.float32), np.zeros((h, w), np.bool_))
    flows = [nothing, *(nothing if a == b else _flow(shots[b], shots[a]) for a, b in pairwise(times))]
    flow, sure = (np.stack(parts) for parts in zip(*flows, strict=True))
    return Footage([seen[time] for time in times], flow, sure)


def _layers(still: FrameData, things: frozenset[int]) -> list[_Layer]:
    """Takes the largest things apart, far ones first: what stands lower in the picture is nearer. Connected regions
    stand in for things where several have one number."""
    thing_HW, found = np.isin(still.label_HW, list(things)), []
    for number in np.unique(still.instance_HW[thing_HW]):
        own_HW = (thing_HW & (still.instance_HW == number)).astype(np.uint8)
        count, region_HW, facts, _ = cv2.connectedComponentsWithStats(own_HW, connectivity=8)
        for region in range(1, count):
            area, bottom = facts[region, cv2.CC_STAT_AREA], facts[region, [cv2.CC_STAT_TOP, cv2.CC_STAT_HEIGHT]].sum()
            if area >= LEAST_AREA * own_HW.size:
                found.append((int(area), _Layer(region_HW == region, float(bottom) / len(own_HW))))
    largest = sorted(found, key=lambda pair: -pair[0])[: MOST_LAYERS - 1]
    everything = _Layer(np.ones(thing_HW.shape, np.bool_), 0.0)
    return [everything, *sorted((layer for _, layer in largest), key=lambda layer: layer.nearness)]


def _shot(size: tuple[int, ...], camera: Camera, time: int, layers: list[_Layer]) -> _Shot:
    h, w = size
    middle_2 = np.array([(w - 1) / 2, (h - 1) / 2])
    windows_K3 = np.array([camera.window(time, layer.nearness) for layer in layers])
    zoom_K = windows_K3[:, 0]
    shift_K2 = middle_2 * (1 + windows_K3[:, 1:] - zoom_K[:, None])
    grid_HW2 = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).astype(np.float64)
    layer_HW, place_HW2 = np.zeros((h, w), np.intp), grid_HW2 * zoom_K[0] + shift_K2[0]
    for k, layer in enumerate(layers[1:], start=1):
        there_HW2 = grid_HW2 * zoom_K[k] + shift_K2[k]
        x, y = np.rint(there_HW2).astype(np.intp).transpose(2, 0, 1)
        shown_HW = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        shown_HW &= layer.mask_HW[y.clip(0, h - 1), x.clip(0, w - 1)]
        layer_HW[shown_HW], place_HW2[shown_HW] = k, there_HW2[shown_HW]
    return _Shot(layer_HW, place_HW2, zoom_K, shift_K2)


def _seen(still: FrameData, shot: _Shot) -> FrameData:
    """Samples labels from the nearest pixel, the image bilinearly."""
    h, w = still.label_HW.shape
    x, y = np.rint(shot.place_HW2).astype(np.intp).transpose(2, 0, 1)
    x, y = x.clip(0, w - 1), y.clip(0, h - 1)
    grid_HW2 = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1)
    flow_B2HW = torch.from_numpy(shot.place_HW2 - grid_HW2).movedim(-1, 0)[None]
    image_B3HW = torch.tensor(still.image_HW3).movedim(-1, 0)[None]
    image_HW3 = warp(image_B3HW, flow_B2HW)[0].movedim(0, -1).round().to(torch.uint8).numpy()
    return FrameData(still.label_HW[y, x], still.instance_HW[y, x], image_HW3)


def _flow(now: _Shot, before: _Shot) -> Flow:
    """Gives where each pixel was in the frame before, and whether the same layer was seen all around there."""
    h, w = now.layer_HW.shape
    layer_HW = now.layer_HW
    there_HW2 = (now.place_HW2 - before.shift_K2[layer_HW]) / before.zoom_K[layer_HW][..., None]
    grid_HW2 = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1)
    near = 1e-9  # what comes to rest on a pixel is on it
    x0, y0 = np.floor(there_HW2 + near).astype(np.intp).transpose(2, 0, 1)
    x1, y1 = np.ceil(there_HW2 - near).astype(np.intp).transpose(2, 0, 1)
    sure_HW = (x0 >= 0) & (y0 >= 0) & (x1 < w) & (y1 < h)
    for x, y in ((x0, y0), (x1, y0), (x0, y1), (x1, y1)):
        sure_HW &= before.layer_HW[y.clip(0, h - 1), x.clip(0, w - 1)] == layer_HW
    return (there_HW2 - grid_HW2).astype(np.float32), sure_HW
