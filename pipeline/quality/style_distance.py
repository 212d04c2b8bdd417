"""How strong styles are: how far variants differ in colour, compared with how steady each is over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StyleStrength:
    """Distances of V variants, in units of CIELAB: a difference of 2 is just visible, 20 is another time of day."""

    variants: tuple[int, ...]
    between_VV: NDArray[np.float64]  # mean over scenes that both show; NaN where there is none
    within_V: NDArray[np.float64]  # of a clip's frames from their mean, over time


def style_strength(clips: Sequence[Mapping[int, NDArray[np.uint8]]]) -> StyleStrength:
    """Measures distances between variants. ``clips``: for each scene its renders, uint8 (T, H, W, 3) RGB, by
    variant."""
    variants = tuple(sorted({variant for scene in clips for variant in scene}))
    place = {variant: i for i, variant in enumerate(variants)}
    between: dict[tuple[int, int], list[float]] = {}
    within: list[list[float]] = [[] for _ in variants]
    for scene in clips:
        frames = {place[v]: np.stack([colors(image) for image in image_THW3]) for v, image_THW3 in scene.items()}
        for a, color_T6 in frames.items():
            mean_6 = color_T6.mean(axis=0)
            within[a].append(float(np.linalg.norm(color_T6 - mean_6, axis=1).mean()))
            for b, other_T6 in frames.items():
                between.setdefault((a, b), []).append(float(np.linalg.norm(mean_6 - other_T6.mean(axis=0))))
    between_VV = np.full((len(variants), len(variants)), np.nan)
    for pair, found in between.items():
        between_VV[pair] = np.mean(found)
    return StyleStrength(variants, between_VV, np.array([np.mean(found) for found in within]))


def colors(image_HW3: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gives mean and deviation of an image's CIELAB channels, (6,).

    The distance of two such vectors is that of Gaussians with these colours (2-Wasserstein, channels apart).
    """
    lab_HW3 = cv2.cvtColor(image_HW3.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)
    return np.concatenate([lab_HW3.mean(axis=(0, 1)), lab_HW3.std(axis=(0, 1))])
