"""What can be said of a rendered clip in numbers, frame by frame, and the gates that reject clips.

Everything here is cheap enough to be measured as clips are written. `measure` puts it together.
"""

from flowreel.pipeline.quality.motion import warp_errors

__all__ = ["warp_errors"]
