"""Light and weather over rendered frames: per pixel and steady over time, so that labels and flow stay valid."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.generator.clip_data import ClipFrames
from flowreel.schemas.light import Light
from flowreel.schemas.variants import Variant

HORIZON = 0.45  # of the height: where a level camera above a flat road sees it
NEAREST = 0.1  # distance of the lowest row, by that of the horizon
THICK = 3.0  # optical depth at the horizon of the thickest haze
AIR = np.array([0.78, 0.80, 0.83], np.float32)  # linear light of an overcast sky
DISPLAY = 2.2  # exponent between pixel values and light


def lit(image_THW3: NDArray[np.uint8], light: Light) -> NDArray[np.uint8]:
    """Relights frames, uint8 (T, H, W, 3) RGB; haze follows Koschmieder's law over the distance of a flat road."""
    if light == Light():
        return image_THW3
    value_256 = np.linspace(0, 1, 256, dtype=np.float32) ** DISPLAY
    gain_3 = np.array(light.tint, np.float32) * np.float32(2.0**light.exposure)
    through_H11 = np.exp(-THICK * light.haze * _distance(image_THW3.shape[1]))[:, None, None]
    frames = []
    for image_HW3 in image_THW3:
        hazed_HW3 = value_256[image_HW3] * through_H11 + AIR * (1 - through_H11)
        shown_HW3 = np.clip(hazed_HW3 * gain_3, 0, 1) ** (light.gamma / DISPLAY)
        frames.append(np.round(shown_HW3 * 255).astype(np.uint8))
    return np.stack(frames)


def _distance(height: int) -> NDArray[np.float32]:
    """Gives each row's distance, relative to the horizon's: it falls off as one over the rows below it."""
    below_H = np.clip(((np.arange(height) + 0.5) / height - HORIZON) / (1 - HORIZON), 0, 1)
    return (1 / (1 + (1 / NEAREST - 1) * below_H)).astype(np.float32)


def in_light(frames: ClipFrames, variant: Variant) -> ClipFrames:
    """Relights a clip's frames as its variant says."""
    return frames if variant.light is None else replace(frames, image_THW3=lit(frames.image_THW3, variant.light))
