"""What sequences are rendered as: a list of variants, or a rule that gives one."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from schemas.edit import Edit
from schemas.model import Model

GENERATE = "generate"
Seed = Annotated[int, Field(ge=0, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]


class Variant(Model):
    """One look of every sequence. Its place in the list is published as its number: add new ones at the end, or the
    clips of those behind are rendered again."""

    style: str = Field(GENERATE, min_length=1, description="`generate`, or the uri of an exemplar image")
    edits: tuple[Edit, ...] = Field((), description="changes to the label maps before rendering, in order")
    seed: Seed | None = Field(None, description="default: clips.seed")
