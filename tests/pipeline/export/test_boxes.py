"""Boxes around segments: those that SciPy finds, which the base does without."""

import numpy as np
import pytest
from scipy import ndimage

from flowreel.pipeline.export.clip import boxes


@pytest.mark.parametrize("seed", range(20))
def test_boxes_are_those_that_scipy_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 9, rng.integers(1, 7, 2))
    picture = np.kron(coarse, np.ones(rng.integers(1, 6, 2), int))
    _, number = np.unique(picture, return_inverse=True)  # every number from 1 on has a pixel
    number_HW = (number.reshape(picture.shape) + 1).astype(np.int32)
    expected = [(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in ndimage.find_objects(number_HW)]
    assert boxes(number_HW, int(number_HW.max())) == expected
