"""An instance of the clip itself goes elsewhere, or grows or shrinks where it stands."""

from flowreel.pipeline.edits.instances import no_instance
from flowreel.pipeline.edits.maps import Maps
from flowreel.pipeline.edits.remove import without
from flowreel.pipeline.edits.track import Track, extract, moved, paste, scaled
from flowreel.schemas.edit import Move, Scale
from flowreel.schemas.label_space import LabelSpace


def move(maps: Maps, edit: Move, space: LabelSpace) -> Maps:
    """In all frames by the same way; nothing where the clip does not hold the instance."""
    track = extract(maps, edit.move, space)
    return _put_back(maps, track, moved(track, edit.by), edit.move, space)


def scale(maps: Maps, edit: Scale, space: LabelSpace) -> Maps:
    """In all frames by the same factor; nothing where the clip does not hold the instance."""
    track = extract(maps, edit.scale, space)
    return _put_back(maps, track, scaled(track, edit.by), edit.scale, space)


def _put_back(maps: Maps, old: Track, new: Track, instance: int, space: LabelSpace) -> Maps:
    assert maps.instance_THW is not None
    if instance == no_instance(maps.instance_THW) or not old.mask_THW.any():
        return maps
    return paste(without(maps, old.mask_THW, space), new, instance, space)
