"""Edits of label maps before rendering, one file per idea. All are pure functions on the maps of a whole clip: new
arrays in the same types, untouched pixels as they were. The edited map conditions the generator and is published."""

from flowreel.pipeline.edits.apply import apply_edits
from flowreel.pipeline.edits.maps import Ids, Maps
from flowreel.pipeline.edits.remap import remap_table, thing_regions

__all__ = ["Ids", "Maps", "apply_edits", "remap_table", "thing_regions"]
