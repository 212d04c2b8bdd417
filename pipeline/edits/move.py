"""Edits that move an instance of the clip, or make it larger or smaller where it stands."""

from flowreel.pipeline.edits.instances import no_instance
from flowreel.pipeline.edits.maps import Maps
from flowreel.pipeline.edits.remove import without
from flowreel.pipeline.edits.track import Track, extract, moved, paste, scaled
from flowreel.schemas.edit import Move, Scale
from flowreel.schemas.label_space import LabelSpace


def move(maps: Maps, edit: Move, space: LabelSpace) -> Maps:
    """Moves an instance by the same distance in all frames; does nothing where the clip lacks it."""
    track = extract(maps, edit.move, space)
    return _put_back(maps, track, moved(track, edit.by), edit.move, space)


def scale(maps: Maps, edit: Scale, space: LabelSpace) -> Maps:
    """Scales an instance by the same factor in all frames; does nothing where the clip lacks it."""
    track = extract(maps, edit.scale, space)
    return _put_back(maps, track, scaled(track, edit.by), edit.scale, space)


def _put_back(maps: Maps, old: Track, new: Track, instance: int, space: LabelSpace) -> Maps:
    """Removes the old track and pastes the new one."""
    assert maps.instance_THW is not None
    if instance == no_instance(maps.instance_THW) or not old.mask_THW.any():
        return maps
    return paste(without(maps, old.mask_THW, space), new, instance, space)
