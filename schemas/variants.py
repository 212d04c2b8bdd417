"""What sequences are rendered as: a list of variants, or a rule that gives one."""

from typing import Annotated

from pydantic import Field

from schemas.edit import ClassKey, Edit
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


class Balance(Model):
    """Edits that bring classes to a share of all pixels of the dataset: objects are removed from some clips, and
    objects that other sequences show are put into some. Which ones follows from the seed and the clips' names."""

    balance: dict[ClassKey, Annotated[float, Field(ge=0, lt=1)]] = Field(
        min_length=1, description="class (name or id) -> its share of all published pixels, reached within a tenth"
    )
    style: str = Field(GENERATE, min_length=1, description="of every clip: `generate`, or the uri of an exemplar image")
    objects: Count = Field(3, description="put into one clip at most, per class")
    seed: Seed | None = Field(None, description="default: clips.seed")
