"""Names of the measures, and which end is bad."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Measure:
    """A column of the manifest, as people read it."""

    column: str
    title: str
    told: str  # what it says, in a line
    worst: Literal["high", "low", "both"]


MEASURES = (
    Measure("warp_error", "Warp error", "difference to the frame before, moved along the flow", "high"),
    Measure("flicker", "Flicker", "light that changes along the motion", "high"),
    Measure("drift", "Drift", "distance of the colours from the clip's first second", "high"),
    Measure("frozen", "Frozen", "share of pixels that stay though their label changes", "high"),
    Measure("label_edges", "Label edges", "how much steeper the picture is where labels meet", "low"),
    Measure("label_agreement", "Label agreement", "pixels that the segmenter names as their label does", "low"),
    Measure("sharpness", "Sharpness", "low is blur, high is noise", "both"),
    Measure("contrast", "Contrast", "0 is a black or blank frame", "low"),
    Measure("saturation", "Saturation", "0 is grey", "both"),
)
