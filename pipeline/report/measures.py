"""Names of the measures, and which end is bad."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Measure:
    """A column of the manifest, as people read it."""

    column: str
    title: str
    meaning: str  # in a line
    worst: Literal["high", "low", "both"]


MEASURES = (
    Measure("warp_error", "Warp error", "difference from the previous frame, warped along the flow", "high"),
    Measure("flicker", "Flicker", "brightness that changes along the motion", "high"),
    Measure("drift", "Drift", "how far colours have moved from the clip's first second", "high"),
    Measure("frozen", "Frozen", "share of pixels that stay the same although their label changes", "high"),
    Measure("label_edges", "Label edges", "how much steeper the image is where labels meet", "low"),
    Measure(
        "label_agreement", "Label agreement", "share of pixels that the segmenter classifies as their label", "low"
    ),
    Measure("sharpness", "Sharpness", "low is blur, high is noise", "both"),
    Measure("contrast", "Contrast", "0 is a black or blank frame", "low"),
    Measure("saturation", "Saturation", "0 is grey", "both"),
)
