"""Edits of label maps before rendering, one file per edit.

All are pure functions on the maps of a whole clip: they give new arrays of the same types and leave other pixels as
they were. The edited map conditions the generator and is published.
"""

from flowreel.pipeline.edits.apply import apply_edits
from flowreel.pipeline.edits.maps import Ids, Maps
from flowreel.pipeline.edits.remap import remap_table, thing_regions

__all__ = ["Ids", "Maps", "apply_edits", "remap_table", "thing_regions"]
