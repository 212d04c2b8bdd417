"""Label spaces: versioned lists of classes. `cityscapes` and `camvid11` are built in, others come from a file."""

import hashlib
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flowreel.schemas.model import Model

Byte = Annotated[int, Field(ge=0, le=255)]


class LabelClass(Model):
    """One class: `thing` classes have countable instances; `ignore` classes do not count in quality measures."""

    id: Annotated[int, Field(ge=0, le=65535)]
    name: Annotated[str, Field(min_length=1)]
    color: tuple[Byte, Byte, Byte]  # RGB
    kind: Literal["thing", "stuff"] = "stuff"
    ignore: bool = False


class LabelSpace(Model):
    """All classes that a label map may hold."""

    name: Annotated[str, Field(min_length=1)]
    version: Annotated[int, Field(ge=1)] = 1
    classes: Annotated[tuple[LabelClass, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        for what in ("id", "name"):
            values = [getattr(c, what) for c in self.classes]
            twice = sorted({v for v in values if values.count(v) > 1})
            if twice:
                raise ValueError(f"label space '{self.name}': {what} {twice} used by more than one class")
        return self

    @cached_property
    def by_id(self) -> dict[int, LabelClass]:
        """Gives the classes by id."""
        return {c.id: c for c in self.classes}

    @cached_property
    def ids(self) -> frozenset[int]:
        """Gives the ids of all classes."""
        return frozenset(self.by_id)

    @cached_property
    def things(self) -> frozenset[int]:
        """Gives the ids of classes of things."""
        return frozenset(c.id for c in self.classes if c.kind == "thing")

    @property
    def digest(self) -> str:
        """Changes when any class does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def resolve(self, key: int | str) -> int:
        """Gives the id of a class named by id or name. Raises ValueError that lists the classes."""
        found = [c.id for c in self.classes if key in (c.id, c.name)]
        if not found:
            names = ", ".join(f"{c.id} {c.name}" for c in self.classes)
            raise ValueError(f"{key!r} is no class of label space '{self.name}'; its classes are: {names}")
        return found[0]
