"""Measures a rendered clip frame by frame, and the gates that reject clips.

Everything here is cheap enough to be measured as clips are written. `measure` combines it.
"""

from flowreel.pipeline.quality.motion import warp_errors

__all__ = ["warp_errors"]
