"""Checks that edits fit the label space and the source before anything is rendered."""

from collections.abc import Iterator

from flowreel.pipeline.edits.drop_out import missing_class
from flowreel.pipeline.edits.maps import background
from flowreel.schemas.edit import (
    DropOut,
    Edit,
    Every,
    Insert,
    Keep,
    Move,
    Remove,
    Replace,
    Reverse,
    Scale,
    needs_instances,
)
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.variants import Variant


def check_edits(variant: Variant, place: str, space: LabelSpace, *, instances: bool) -> None:
    """Raises UsageError, naming the edit's ``place``, for an edit that does not fit. ``instances``: whether the
    source has instance maps."""
    for k, edit in enumerate(variant.edits):
        try:
            _check(edit, space, instances)
        except ValueError as error:
            raise UsageError(f"{place}.edits[{k}]: {error}") from None
    times = [isinstance(edit, Reverse | Every) for edit in variant.edits]
    for k, is_time in enumerate(times):
        if is_time and not all(times[:k]):
            raise UsageError(
                f"{place}.edits[{k}]: '{variant.edits[k]}' chooses the clip's frames, which comes before all edits of"
                " their pixels; put it in front of them"
            )


def _check(edit: Edit, space: LabelSpace, instances: bool) -> None:
    for key in _classes(edit):
        space.resolve(key)
    if isinstance(edit, DropOut):
        missing_class(edit, space)
    if isinstance(edit, Remove | Keep | Move | Scale) and not background(space):
        raise ValueError(f"label space '{space.name}' has no stuff that could fill the hole")
    if isinstance(edit, Insert) and isinstance(edit.insert, str) and space.resolve(edit.insert) not in space.things:
        raise ValueError(f"'{edit.insert}' is stuff, which has no objects; insert a class of things")
    if needs_instances([edit]) and not instances:
        raise ValueError(f"'{edit}' needs instance maps; name them as source.instances")


def _classes(edit: Edit) -> Iterator[int | str]:
    """Yields the classes that an edit names."""
    match edit:
        case Replace():
            yield from (edit.replace, edit.with_)
        case Remove():
            yield edit.remove
        case Keep():
            yield from edit.keep
            if edit.with_ is not None:
                yield edit.with_
        case Insert(insert=str()):
            yield edit.insert
        case _:
            pass


def inserts(variant: Variant) -> tuple[Insert, ...]:
    """Gives the edits of a variant that take objects from another sequence."""
    return tuple(edit for edit in variant.edits if isinstance(edit, Insert))
