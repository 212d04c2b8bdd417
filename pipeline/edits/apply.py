"""Applies a list of edits, one after the other."""

from collections.abc import Iterable, Sequence

from flowreel.pipeline.edits.crop_mirror import crop, mirror
from flowreel.pipeline.edits.drop_out import drop_out
from flowreel.pipeline.edits.insert import insert
from flowreel.pipeline.edits.maps import Ids, Maps
from flowreel.pipeline.edits.move import move, scale
from flowreel.pipeline.edits.remove import keep, remove
from flowreel.pipeline.edits.replace import replace
from flowreel.schemas.edit import (
    Crop,
    DropOut,
    Edit,
    Every,
    Insert,
    Keep,
    Mirror,
    Move,
    Remove,
    Replace,
    Reverse,
    Scale,
)
from flowreel.schemas.label_space import LabelSpace


def apply_edits(
    label_THW: Ids, instance_THW: Ids | None, edits: Iterable[Edit], space: LabelSpace, donors: Sequence[Maps] = ()
) -> Maps:
    """Gives edited copies of a clip's maps; the inputs stay as they are. Raises ValueError for an unknown class.

    ``donors``: for each `Insert` in turn the other sequence's maps from its first frame on, at the clip's size. Edits
    of time have already chosen the frames (`flowreel.schemas.edit.frame_steps`).
    """
    maps, given = Maps(label_THW, instance_THW), iter(donors)
    for edit in edits:
        match edit:
            case Replace():
                maps = replace(maps, edit, space)
            case Remove():
                maps = remove(maps, edit, space)
            case Keep():
                maps = keep(maps, edit, space)
            case Insert():
                maps = insert(maps, edit, next(given), space)
            case Move():
                maps = move(maps, edit, space)
            case Scale():
                maps = scale(maps, edit, space)
            case Mirror():
                maps = mirror(maps)
            case Crop():
                maps = crop(maps, edit)
            case DropOut():
                maps = drop_out(maps, edit, space)
            case Reverse() | Every():
                pass
    return maps
