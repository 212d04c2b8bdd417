"""Edits of label maps before rendering; the edited map is the label that is published.

An edit is a mapping whose first key says what it does. Places and distances are shares of the frame's width and height,
so that an edit means the same at every size.
"""

from collections.abc import Iterable
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StrictInt, StrictStr, Tag, model_validator

from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Natural, Positive

ClassKey = Annotated[StrictInt, Field(ge=0, le=65535)] | StrictStr  # id or name; strict: YAML's `no` is no class 0
InstanceId = Annotated[int, Field(ge=0, le=65535, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]
Shift = Annotated[float, Field(ge=-1, le=1)]
Factor = Annotated[float, Field(ge=0.1, le=10)]
Region = Annotated[
    tuple[Share, Share, Share, Share], Field(description="left, top, width, height: shares of the frame")
]


class Replace(Model):
    """Turns all pixels of one class into another class: trees into buildings."""

    replace: ClassKey = Field(description="class (name or id) that goes")
    with_: ClassKey = Field(alias="with", description="class (name or id) that takes its place")

    def __str__(self) -> str:
        return f"replace {self.replace} with {self.with_}"


class Remove(Model):
    """Removes all pixels of a class, or those of some of its instances; what was behind them fills the hole."""

    remove: ClassKey = Field(description="class (name or id) that goes")
    instances: tuple[InstanceId, ...] | None = Field(None, min_length=1, description="only these ids of instance maps")
    sequence: str | None = Field(None, description="only in this sequence: ids mean something else in others")

    def __str__(self) -> str:
        some = "" if self.instances is None else f" {', '.join(map(str, self.instances))}"
        return f"remove {self.remove}{some}"


class Keep(Model):
    """Keeps only these classes of things and removes all others. With `with`, that class takes the place of every
    other pixel."""

    keep: tuple[ClassKey, ...] = Field(min_length=1, description="classes (names or ids) that stay")
    with_: ClassKey | None = Field(None, alias="with", description="class of all else; default: other things go")

    def __str__(self) -> str:
        return f"keep {', '.join(map(str, self.keep))}" + ("" if self.with_ is None else f" with {self.with_}")


class Insert(Model):
    """Inserts an object of another sequence by its instance id, or all objects of a class: the clip's frame i shows
    them as the sequence's frame `first` + i does, for as long as they are in sight there."""

    insert: InstanceId | StrictStr = Field(description="instance id in the other sequence, or the name of a class")
    from_: str = Field(alias="from", min_length=1, description="the other sequence")
    first: Natural = Field(0, description="its frame that goes to the clip's first one")
    by: tuple[Shift, Shift] = Field((0.0, 0.0), description="right, down")
    scale: Factor = Field(1.0, description="about the point where it stands")

    def __str__(self) -> str:
        moved = f" by {self.by[0]:g}, {self.by[1]:g}" if any(self.by) else ""
        scaled = f" scaled {self.scale:g}" if self.scale != 1 else ""
        return f"insert {self.insert} from {self.from_} at {self.first}{moved}{scaled}"


class Move(Model):
    """Moves an instance to another place in all frames; what was behind it fills the hole."""

    move: InstanceId = Field(description="instance id")
    by: tuple[Shift, Shift] = Field(description="right, down")
    sequence: str | None = Field(None, description="only in this sequence: ids mean something else in others")

    def __str__(self) -> str:
        return f"move {self.move} by {self.by[0]:g}, {self.by[1]:g}"


class Scale(Model):
    """Scales an instance in all frames about the point where it stands."""

    scale: InstanceId = Field(description="instance id")
    by: Factor
    sequence: str | None = Field(None, description="only in this sequence: ids mean something else in others")

    def __str__(self) -> str:
        return f"scale {self.scale} by {self.by:g}"


class Mirror(Model):
    """Swaps left and right."""

    mirror: Literal["horizontal"]

    def __str__(self) -> str:
        return f"mirror {self.mirror}"


class Crop(Model):
    """Enlarges a part of the frame to the whole: nearest neighbour."""

    crop: Region

    @model_validator(mode="after")
    def _within(self) -> Self:
        _check_region(self.crop)
        return self

    def __str__(self) -> str:
        return f"crop {_shares(self.crop)}"


class DropOut(Model):
    """Drops out a part of the frame, as a sensor may: the ignored class, no instances."""

    drop_out: Region
    frames: tuple[Natural, Positive] | None = Field(None, description="only in the clip's frames [first, stop)")
    with_: ClassKey | None = Field(None, alias="with", description="default: the label space's first ignored class")

    @model_validator(mode="after")
    def _within(self) -> Self:
        _check_region(self.drop_out)
        if self.frames and self.frames[0] >= self.frames[1]:
            raise ValueError(f"frames {list(self.frames)}: first must be below stop")
        return self

    def __str__(self) -> str:
        when = "" if self.frames is None else f" in frames {self.frames[0]}..{self.frames[1] - 1}"
        return f"drop out {_shares(self.drop_out)}{when}"


class Reverse(Model):
    """Reverses time within each clip."""

    reverse: Literal[True]

    def __str__(self) -> str:
        return "reverse"


class Every(Model):
    """Keeps only each n-th frame of a clip: n times the motion from frame to frame."""

    every: Annotated[int, Field(ge=2, le=1000, strict=True)]

    def __str__(self) -> str:
        return f"every {self.every}"


KINDS: dict[str, type[Model]] = {
    "replace": Replace,
    "remove": Remove,
    "keep": Keep,
    "insert": Insert,
    "move": Move,
    "mirror": Mirror,
    "crop": Crop,
    "drop_out": DropOut,
    "reverse": Reverse,
    "every": Every,
    "scale": Scale,  # last: `insert` has a field of this name
}
TAG = "edit-"  # before the key: what alternatives are called where errors say which one was taken


def _kind(value: Any) -> str | None:
    if isinstance(value, Model):
        return next((TAG + key for key, model in KINDS.items() if isinstance(value, model)), None)
    return next((TAG + key for key in KINDS if isinstance(value, dict) and key in value), None)


Edit = Annotated[
    Annotated[Replace, Tag("edit-replace")]
    | Annotated[Remove, Tag("edit-remove")]
    | Annotated[Keep, Tag("edit-keep")]
    | Annotated[Insert, Tag("edit-insert")]
    | Annotated[Move, Tag("edit-move")]
    | Annotated[Scale, Tag("edit-scale")]
    | Annotated[Mirror, Tag("edit-mirror")]
    | Annotated[Crop, Tag("edit-crop")]
    | Annotated[DropOut, Tag("edit-drop_out")]
    | Annotated[Reverse, Tag("edit-reverse")]
    | Annotated[Every, Tag("edit-every")],
    Discriminator(
        _kind,
        custom_error_type="no_edit",
        custom_error_message=f"no edit; it needs one of the keys {', '.join(KINDS)}",
    ),
]


def frame_steps(edits: Iterable[Edit]) -> tuple[int, ...]:
    """Gives what edits of time do to a clip's list of frames: slices with these steps, one after the other."""
    return tuple(-1 if isinstance(edit, Reverse) else edit.every for edit in edits if isinstance(edit, Reverse | Every))


def frame_stride(edits: Iterable[Edit]) -> int:
    """Gives the source frames from one frame of an edited clip to the next."""
    return prod(map(abs, frame_steps(edits)))


def applied_in(edits: Iterable[Edit], sequence_id: str) -> tuple[Edit, ...]:
    """Gives the edits that apply to a sequence's clips."""
    return tuple(edit for edit in edits if getattr(edit, "sequence", None) in (None, sequence_id))


def needs_instances(edits: Iterable[Edit]) -> bool:
    """Tells whether instance maps decide what edits do to label maps."""
    return any(
        isinstance(edit, Insert | Move | Scale) or (isinstance(edit, Remove) and edit.instances is not None)
        for edit in edits
    )


def _check_region(region: tuple[float, float, float, float]) -> None:
    left, top, width, height = region
    if not (width > 0 and height > 0 and left + width <= 1 + 1e-9 and top + height <= 1 + 1e-9):
        raise ValueError(
            f"[{_shares(region)}] must lie within the frame: left + width <= 1, top + height <= 1, both > 0"
        )


def _shares(region: tuple[float, float, float, float]) -> str:
    return ", ".join(f"{share:g}" for share in region)
